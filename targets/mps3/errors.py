"""What goes wrong with a board, by what can be done about it."""

from __future__ import annotations

from bench.errors import PrerequisiteError, TargetError

__all__ = ["BoardError", "BoardUnavailableError", "CardError"]


class BoardError(TargetError):
    """The board did not do what it should: the recovery ladder may help."""


class CardError(PrerequisiteError):
    """The SD card cannot take what must be written: a person has to help."""


class BoardUnavailableError(PrerequisiteError):
    """No board, or not for us now: not found, leased, quarantined."""
