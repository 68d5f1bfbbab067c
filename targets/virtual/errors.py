"""What the virtual Corstone-300 raises."""

from __future__ import annotations

from bench.core.errors import TargetError

__all__ = ["BusError", "MachineError", "ParameterError"]


class MachineError(TargetError):
    """The machine cannot go on: the program did something that has no continuation."""


class BusError(TargetError):
    """An access to an address where nothing answers."""


class ParameterError(TargetError):
    """The command line or a parameter is wrong; nothing was run."""
