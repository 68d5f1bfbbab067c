"""When a machine gives up; apart from the machine, as a command line is read without one."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """When to give up: seconds of the clock on the wall, of this process, of simulated time."""

    wall_seconds: float | None = None
    processor_seconds: float | None = None
    simulated_seconds: float | None = None
    cycles: int | None = None
