"""What goes wrong between the bench and its firmware."""

from __future__ import annotations

from bench.errors import TargetError

__all__ = ["AnswerError", "JobError"]


class JobError(TargetError):
    """A job cannot be put into an image, or an image cannot be read."""


class AnswerError(TargetError):
    """The firmware's answer is damaged, incomplete or contradicts itself."""
