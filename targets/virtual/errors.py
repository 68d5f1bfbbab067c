"""The errors of the virtual Corstone-300."""

from __future__ import annotations

from bench.core.errors import TargetError

__all__ = ["BusError", "MachineError", "ParameterError"]


class MachineError(TargetError):
    """The machine cannot continue after what the program did."""


class BusError(TargetError):
    """An access to an address at which there is nothing."""


class ParameterError(TargetError):
    """The command line or a parameter is wrong; nothing was run."""
