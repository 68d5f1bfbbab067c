"""Errors of FVP processes and their answers."""

from __future__ import annotations

from bench.core.errors import TargetError

__all__ = ["InfrastructureError", "MissingAnswerError"]


class InfrastructureError(TargetError):
    """The infrastructure failed, not the model: a retry may succeed."""


class MissingAnswerError(TargetError):
    """A process ended, and its answer or the end of its answer is missing."""
