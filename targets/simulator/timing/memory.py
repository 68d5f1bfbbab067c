"""When transfers are served: one direction of an AXI port behind a timing adapter.

A `Channel` is a queue: transfers are served in the order in which they are asked for, and what
it knows of time is when it is free again and how much of the adapter's current period is used.
A transfer of any number of transactions costs constant time, because a steady stream serves the
same number of transactions every period.

Reads and writes have channels of their own, as AXI has. Neither their data beats nor their caps
are shared: with one budget for both directions the published rows of `kws_micronet_m` would come
out up to 16 % too slow.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from targets.simulator.timing.profiles import PortTiming

__all__ = ["Channel", "Served", "read_channel", "write_channel"]

#: Rounding of float times must not admit a transaction at the very end of a pulse.
_EPSILON = 1e-9


class Served(NamedTuple):
    """When a transfer was served, in cycles."""

    #: First transaction accepted, and the last.
    start: float
    accepted: float
    #: Everything has arrived (reads), or has been acknowledged (writes).
    done: float


class Channel:
    """State of one direction of a port during one estimate; the only mutable thing here."""

    __slots__ = (
        "_cap",
        "_limit",
        "_on",
        "_period",
        "_used",
        "_window",
        "free",
        "latency",
        "stalled",
    )

    def __init__(self, timing: PortTiming, *, latency: int, limit: int) -> None:
        both = timing.maxrw
        self._limit = min(limit, both) if limit and both else limit or both
        #: Cycles from the address to the first beat, or from the last beat to the response.
        self.latency = float(latency)
        self._period = timing.period
        self._on = timing.pulse_on
        self._cap = timing.bwcap if timing.period else 0
        self._window = -1.0
        self._used = 0.0
        #: When the next transfer may be accepted.
        self.free = 0.0
        #: Cycles in which transactions waited to be accepted.
        self.stalled = 0.0

    def pace(self, burst: float, held: float = 0.0) -> float:
        """Cycles from one transaction of `burst` beats to the next in a steady stream.

        A beat takes a cycle; and of `limit` transactions under way each occupies its place for
        latency + beats + `held` cycles.
        """
        if not self._limit:
            return burst
        return max(burst, (self.latency + burst + held) / self._limit)

    def sustained(self, beats: float, bursts: float, held: float = 0.0) -> float:
        """Cycles that `beats` beats in `bursts` transactions occupy the channel, latency apart."""
        if bursts <= 0:
            return 0.0
        burst = beats / bursts
        pace = self.pace(burst, held)
        if self._period:
            pace = max(pace, self._period / self._per_period(burst, pace))
        return bursts * pace

    def serve(self, ready: float, beats: float, bursts: float, held: float = 0.0) -> Served:
        """Serve `beats` beats in `bursts` transactions that are asked for at `ready`.

        Both may be fractions, where a transfer is split evenly. `held` is how many cycles longer
        than its data a transaction keeps its place.
        """
        if bursts <= 0:
            return Served(ready, ready, ready)
        burst = beats / bursts
        pace = self.pace(burst, held)
        time = ready if ready > self.free else self.free
        asked = time
        left = bursts
        if self._period:
            start, last = self._admit(time, left, burst, pace)
        else:
            start, last = time, time + max(left - 1, 0.0) * pace
        self.free = last + pace
        self.stalled += max(0.0, last - asked - left)
        return Served(start, last, last + self.latency + burst)

    def _per_period(self, burst: float, pace: float) -> float:
        """Transactions a period serves at most."""
        count = (self._on - _EPSILON) // pace + 1 if pace else math.inf
        if self._cap:
            count = min(count, -((_EPSILON - self._cap / burst) // 1))
        return max(count, 1.0)

    def _admit(self, time: float, left: float, burst: float, pace: float) -> tuple[float, float]:
        """When the first and the last of `left` transactions are accepted."""
        period, on, cap = self._period, self._on, self._cap
        start = -1.0
        while True:
            window = time // period
            position = time - window * period
            if window != self._window:
                self._window, self._used = window, 0.0
            if position >= on or (cap and self._used >= cap):
                time = (window + 1) * period
                continue
            count = (on - position - _EPSILON) // pace + 1
            if cap:
                allowed = -((_EPSILON - (cap - self._used) / burst) // 1)
                if allowed < count:
                    count = allowed
            if left < count:
                count = left
            if start < 0:
                start = time
            last = time + (count - 1) * pace if count > 1 else time
            self._used += count * burst
            left -= count
            if left <= _EPSILON:
                return start, last
            # Whole periods of a steady stream are skipped; the rest is served above.
            steady = self._per_period(burst, pace)
            full = -(-left // steady) - 1
            left -= full * steady
            time = (window + 1 + full) * period


def read_channel(timing: PortTiming) -> Channel:
    """The read direction of a port."""
    return Channel(timing, latency=timing.rlatency, limit=timing.maxr)


def write_channel(timing: PortTiming) -> Channel:
    """The write direction of a port."""
    return Channel(timing, latency=timing.wlatency, limit=timing.maxw)
