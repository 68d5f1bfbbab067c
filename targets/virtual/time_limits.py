"""When a machine gives up; separate from the machine, because a command line needs none."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """When to give up: seconds of wall time, of this process's time, and of simulated time."""

    wall_seconds: float | None = None
    processor_seconds: float | None = None
    simulated_seconds: float | None = None
    cycles: int | None = None
