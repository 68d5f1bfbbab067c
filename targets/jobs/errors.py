"""What goes wrong between the bench and its firmware."""

from __future__ import annotations

from bench.core.errors import TargetError

__all__ = ["AnswerError", "JobError", "UnsupportedGraphError"]


class JobError(TargetError):
    """A job cannot be put into an image, or an image cannot be read."""


class UnsupportedGraphError(JobError):
    """The firmware cannot run this graph: operators for the CPU, or several command streams."""


class AnswerError(TargetError):
    """The firmware's answer is damaged, incomplete or contradicts itself."""
