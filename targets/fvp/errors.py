"""What goes wrong around an FVP."""

from __future__ import annotations

from bench.core.errors import TargetError

__all__ = ["InfrastructureError", "MissingAnswerError"]


class InfrastructureError(TargetError):
    """The way to the answer failed, not the model: another try may succeed."""


class MissingAnswerError(TargetError):
    """A process ended and its answer, or the end of it, is not there."""
