"""The periods of a port's timing adapter: when its pulse lets addresses through, and its cap.

Periods have numbers: period n begins at n times its length. The port's reads and writes share the
cap and are not asked for in the order of time, so what periods of the past have used is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass

from targets.timing_profiles import PortTiming

__all__ = ["Periods"]


@dataclass(frozen=True)
class _SteadyRun:
    """Periods from number `first` up to, and without, `end` that used the same beats each."""

    first: float
    end: float
    beats: float


class Periods:
    """The pulse and the cap of one port during one estimate."""

    __slots__ = ("_latest", "_steady", "_used", "cap", "length", "on")

    def __init__(self, timing: PortTiming) -> None:
        """`timing` has a period; what it lacks may be a cap."""
        #: Cycles of a period, and those at its beginning in which addresses are let through.
        self.length = float(timing.period)
        self.on = float(timing.pulse_on)
        #: Beats a period may use before nothing more starts in it; 0: any number.
        self.cap = float(timing.bwcap)
        self._used: dict[float, float] = {}
        #: Runs of periods that one stream had to itself.
        self._steady: list[_SteadyRun] = []
        #: The last period of which anything is used.
        self._latest = -1.0

    def opening(self, time: float) -> tuple[float, float, float]:
        """When the next address is let through, from `time` on; its period, and the beats used."""
        length, on, cap = self.length, self.on, self.cap
        while True:
            period = time // length
            used = 0.0 if period > self._latest else self.used(period)
            if time - period * length < on and (used < cap or not cap):
                return time, period, used
            time = (period + 1) * length

    def used(self, period: float) -> float:
        """Beats used of a period."""
        known = self._used.get(period)
        if known is not None:
            return known
        for run in reversed(self._steady):
            if run.first <= period < run.end:
                return run.beats
        return 0.0

    def record(self, period: float, beats: float) -> None:
        """From now on so many beats of a period are used."""
        self._used[period] = beats
        if period > self._latest:
            self._latest = period

    def record_steadily(self, first: float, count: float, beats: float) -> None:
        """So many beats of each of the `count` periods from `first`, unused so far, are used."""
        self._steady.append(_SteadyRun(first, first + count, beats))
        self._latest = first + count - 1

    def spread(self, start: float, end: float, beats: float) -> None:
        """Use `beats` between two times, at an even rate."""
        if end <= start:
            return
        length = self.length
        period = start // length
        while period * length < end:
            inside = min(end, (period + 1) * length) - max(start, period * length)
            share = beats * inside / (end - start)
            self.record(period, self.used(period) + share)
            period += 1

    def untouched_after(self, period: float) -> bool:
        """Whether nobody has used any period after this one."""
        return period >= self._latest
