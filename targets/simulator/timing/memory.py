"""When transfers are served: the two directions of an AXI port behind a timing adapter.

A `Channel` is a queue: transfers are served in the order in which they are asked for, and what
it knows of time is when it is free again and how many of the places for transactions are taken.
A transfer of any number of transactions costs constant time for each period of the adapter, and
periods that it has to itself are skipped: a steady stream serves the same number in each.

Reads and writes have data lanes of their own, as AXI has, and share the cap (`Budget`). The FVP
bears out the latter: with half the cap on the SRAM `kws_micronet_m` takes 41 % more cycles at 256
MACs and another network 64 %, far more than its reads alone would need (docs/fidelity.md).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from targets.timing_profiles import PortTiming

__all__ = ["Budget", "Channel", "Served", "channels"]

#: Rounding of float times must not admit a transaction at the very end of a pulse.
_EPSILON = 1e-9


class Served(NamedTuple):
    """When a transfer was served, in cycles."""

    #: First transaction accepted, and the last.
    start: float
    accepted: float
    #: Everything has arrived (reads), or has been acknowledged (writes).
    done: float


class Budget:
    """Beats used of each period of one port, by its reads and its writes.

    The two are not asked for in the order of time, so periods of the past are remembered.
    """

    __slots__ = ("_latest", "_period", "_steady", "_used")

    def __init__(self, period: int) -> None:
        self._period = period
        self._used: dict[float, float] = {}
        #: Runs of periods that one stream had to itself: first, end, beats of each.
        self._steady: list[tuple[float, float, float]] = []
        self._latest = -1.0

    def used(self, window: float) -> float:
        """Beats used of a period."""
        if window > self._latest:
            return 0.0
        known = self._used.get(window)
        if known is not None:
            return known
        for first, end, beats in reversed(self._steady):
            if first <= window < end:
                return beats
        return 0.0

    def record(self, window: float, beats: float) -> None:
        """From now on so many beats of a period are used."""
        self._used[window] = beats
        if window > self._latest:
            self._latest = window

    def record_steadily(self, window: float, count: float, beats: float) -> None:
        """So many beats of each of the `count` periods from `window`, unused so far, are used."""
        self._steady.append((window, window + count, beats))
        self._latest = window + count - 1

    def spread(self, start: float, end: float, beats: float) -> None:
        """Use `beats` between two times, at an even rate."""
        if end <= start:
            return
        window = start // self._period
        while window * self._period < end:
            inside = min(end, (window + 1) * self._period) - max(start, window * self._period)
            share = beats * inside / (end - start)
            self.record(window, self.used(window) + share)
            window += 1

    def untouched_after(self, window: float) -> bool:
        """Whether nobody has used any period after this one."""
        return window >= self._latest


class Channel:
    """State of one direction of a port during one estimate; with `Budget` all that is mutable."""

    __slots__ = (
        "_budget",
        "_cap",
        "_drained",
        "_limit",
        "_on",
        "_period",
        "_taken",
        "free",
        "latency",
        "stalled",
    )

    def __init__(self, timing: PortTiming, *, latency: int, limit: int, budget: Budget) -> None:
        both = timing.maxrw
        self._limit = min(limit, both) if limit and both else limit or both
        #: Cycles from the address to the first beat, or from the last beat to the response.
        self.latency = float(latency)
        self._period = timing.period
        self._on = timing.pulse_on
        self._cap = timing.bwcap if timing.period else 0
        self._budget = budget
        #: Places taken since all of them were free, modulo their number.
        self._taken = 0.0
        #: When all places are free again.
        self._drained = 0.0
        #: When the next transfer may be accepted.
        self.free = 0.0
        #: Cycles in which transactions waited to be accepted.
        self.stalled = 0.0

    def _turn(self, burst: float) -> float:
        """Cycles from one transaction to the one that takes its place, `limit` later.

        A beat takes a cycle, and a transaction occupies its place for latency + beats. 0 where
        places are never short: then only the data lane decides.
        """
        occupied = self.latency + burst
        return occupied if occupied > self._limit * burst and self._limit else 0.0

    def _fitting(self, room: float, burst: float, turn: float, taken: float) -> float:
        """How many transactions are accepted in `room` cycles, `taken` places being in use."""
        if not turn:
            return room // burst + 1 if burst else math.inf
        limit = self._limit
        room += taken * burst
        rounds = room // turn
        places = (room - rounds * turn) / burst
        if places >= limit:
            places = limit - _EPSILON
        return (rounds * limit + places - taken) // 1 + 1

    def sustained(self, beats: float, bursts: float) -> float:
        """Cycles that `beats` beats in `bursts` transactions occupy the channel, latency apart."""
        if bursts <= 0:
            return 0.0
        burst = beats / bursts
        turn = self._turn(burst)
        pace = turn / self._limit if turn else burst
        if self._period:
            pace = max(pace, self._period / self._per_period(burst, turn))
        return bursts * pace

    def serve(self, ready: float, beats: float, bursts: float) -> Served:
        """Serve `beats` beats in `bursts` transactions that are asked for at `ready`.

        Both may be fractions, where a transfer is split evenly.
        """
        if bursts <= 0:
            return Served(ready, ready, ready)
        burst = beats / bursts
        turn = self._turn(burst)
        asked = ready if ready > self.free else self.free
        if self._period:
            start, last = self._admit(asked, bursts, burst, turn)
        else:
            start = asked
            taken = self._taken if asked < self._drained else 0.0
            last = self._accept(asked, bursts, burst, turn, taken)
        waited = last - asked - bursts
        if waited > 0:
            self.stalled += waited
        return Served(start, last, last + self.latency + burst)

    def charge(self, start: float, end: float, beats: float) -> None:
        """Let beats that pass between two times count towards the cap, and delay nobody else."""
        if self._cap:
            self._budget.spread(start, end, beats)

    def _accept(self, time: float, count: float, burst: float, turn: float, taken: float) -> float:
        """Accept `count` transactions from `time` on; when the last of them is accepted.

        Up to `limit` of them, less the `taken` places, come at the pace of the data lane, the next
        when the first one ends, a `turn` after it was accepted.
        """
        last = time
        if not turn:
            self.free = time + count * burst
            if count > 1:
                last += (count - 1) * burst
            self._taken = 0.0
        else:
            limit = self._limit
            ends = taken + count
            rounds = ends // limit
            self._taken = ends - rounds * limit
            self.free = time + rounds * turn + (self._taken - taken) * burst
            if count > 1:
                rounds = (ends - 1) // limit
                last += rounds * turn + (ends - 1 - rounds * limit - taken) * burst
        self._drained = last + self.latency + burst
        return last

    def _per_period(self, burst: float, turn: float) -> float:
        """Transactions a period serves at most."""
        count = self._fitting(self._on - _EPSILON, burst, turn, 0.0)
        if self._cap:
            count = min(count, -((_EPSILON - self._cap / burst) // 1))
        return count if count > 1 else 1.0

    def _admit(self, time: float, left: float, burst: float, turn: float) -> tuple[float, float]:
        """When the first and the last of `left` transactions are accepted."""
        period, on, cap, budget = self._period, self._on, self._cap, self._budget
        start = -1.0
        while True:
            window = time // period
            position = time - window * period
            used = budget.used(window) if cap else 0.0
            if position >= on or (cap and used >= cap):
                time = (window + 1) * period
                continue
            taken = self._taken if time < self._drained else 0.0
            count = self._fitting(on - position - _EPSILON, burst, turn, taken)
            if cap:
                allowed = -((_EPSILON - (cap - used) / burst) // 1)
                if allowed < count:
                    count = allowed
            if left < count:
                count = left
            if start < 0:
                start = time
            last = self._accept(time, count, burst, turn, taken)
            if cap:
                budget.record(window, used + count * burst)
            left -= count
            if left <= _EPSILON:
                return start, last
            window += 1
            if not cap or budget.untouched_after(window - 1):
                # Whole periods of a steady stream are skipped; the rest is served above.
                steady = self._per_period(burst, turn)
                full = -(-left // steady) - 1
                if cap and full:
                    budget.record_steadily(window, full, steady * burst)
                left -= full * steady
                window += full
            time = window * period


def channels(timing: PortTiming) -> tuple[Channel, Channel]:
    """The read and the write direction of a port."""
    budget = Budget(timing.period)
    reads = Channel(timing, latency=timing.rlatency, limit=timing.maxr, budget=budget)
    writes = Channel(timing, latency=timing.wlatency, limit=timing.maxw, budget=budget)
    return reads, writes
