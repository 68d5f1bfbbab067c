"""When and why a run of the machine ends; separate, because a command line needs no machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum

__all__ = ["CLOCK_HZ", "Clock", "Limits", "Stop", "StopReason"]

#: Core clock of the FVP as Arm's MLEK logs it.
CLOCK_HZ = 32_000_000
_FOREVER = 3600.0


@dataclass(frozen=True)
class Limits:
    """When to give up: seconds of wall time, of this process's time, and of simulated time."""

    wall_seconds: float | None = None
    processor_seconds: float | None = None
    simulated_seconds: float | None = None
    cycles: int | None = None


class StopReason(Enum):
    """Why the machine stopped."""

    REQUESTED = "stopped by the UART"
    EXIT = "semihosting exit"
    WALL_TIME = "wall time"
    PROCESSOR_TIME = "processor time"
    SIMULATED_TIME = "simulated time"
    CYCLES = "cycles"


@dataclass(frozen=True)
class Stop:
    """How a run ended. `status` is the semihosting exit status, if there was one."""

    reason: StopReason
    status: int | None = None


class Clock:
    """Compares the elapsed time with the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._start = time.monotonic()

    @property
    def remaining(self) -> float | None:
        """How many seconds the processor may run at once; None = any number."""
        left = []
        if self._limits.wall_seconds is not None:
            left.append(self._limits.wall_seconds - (time.monotonic() - self._start))
        if self._limits.processor_seconds is not None:
            left.append(self._limits.processor_seconds - time.process_time())
        return max(0.0, min(left)) if left else None

    def exceeded(self, cycles: int) -> Stop | None:
        """The stop that is due, if any."""
        limits = self._limits
        due = (
            (limits.wall_seconds, time.monotonic() - self._start, StopReason.WALL_TIME),
            (limits.processor_seconds, time.process_time(), StopReason.PROCESSOR_TIME),
            (limits.simulated_seconds, cycles / CLOCK_HZ, StopReason.SIMULATED_TIME),
            (limits.cycles, cycles, StopReason.CYCLES),
        )
        for limit, passed, reason in due:
            if limit is not None and passed >= limit:
                return Stop(reason)
        return None

    def sleep_forever(self) -> Stop | None:
        """Nothing will wake the processor again, so wait for a limit or to be killed."""
        limits = self._limits
        if limits.simulated_seconds is not None:
            return Stop(StopReason.SIMULATED_TIME)
        if limits.cycles is not None:
            return Stop(StopReason.CYCLES)
        while limits.wall_seconds is None:
            time.sleep(_FOREVER)
        time.sleep(max(0.0, limits.wall_seconds - (time.monotonic() - self._start)))
        return Stop(StopReason.WALL_TIME)
