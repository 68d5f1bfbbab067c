"""When transfers are served: the two directions of an AXI port behind a timing adapter.

A `Channel` is a queue: transfers are served in the order in which they are asked for, and what
it knows of time is when it is free again and how many of the places for transactions are taken.
A transfer of any number of transactions costs constant time for each period of the adapter, and
periods that it has to itself are skipped: a steady stream serves the same number in each.

Transactions of 8 beats, two of them under way at most, latency 16. A `turn` is 24 cycles: 8 on
the data lane and the latency. The pulse lets addresses through for 40 cycles of each 60:

    cycle         0       8       16      24      32      40      48      56  60      68
    pulse         |<--------------- on ------------------>|<------ off ----->|<-- on ...
    accepted      1       2               3       4                          5       6
    place 1       [1 .....latency ][=data=][3 ............ ][======]         [5 ...
    place 2               [2 ............. ][======][4 ............ ][======]        [6 ...
                  |<------ a turn ------->|

Reads and writes have data lanes of their own, as AXI has, and share the cap (`Periods`). The
FVP bears out the latter: with half the cap on the SRAM `kws_micronet_m` takes 41 % more cycles at
256 MACs and another network 64 %, far more than its reads alone would need (docs/fidelity.md).
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from bench.core.rounding import ceil_div
from targets.simulator.timing.pace import ROUNDING, Pace, Paces
from targets.simulator.timing.periods import Periods
from targets.timing_profiles import PortTiming

__all__ = ["Channel", "Served", "channels"]


class Served(NamedTuple):
    """When a transfer was served, in cycles."""

    #: First transaction accepted, and the last.
    start: float
    accepted: float
    #: Everything has arrived (reads), or has been acknowledged (writes).
    done: float


class Channel:
    """State of one direction of a port during one estimate.

    That, and the port's `Periods`, is all that is mutable.
    """

    __slots__ = (
        "_drained",
        "_paces",
        "_periods",
        "_taken",
        "free",
        "latency",
        "stalled",
    )

    def __init__(self, *, latency: int, limit: int, periods: Periods | None) -> None:
        """`limit` is how many transactions may be under way, 0 for any number."""
        #: Cycles from the address to the first beat, or from the last beat to the response.
        self.latency = float(latency)
        #: The port's; None where addresses are never blocked and nothing is capped.
        self._periods = periods
        self._paces = Paces(self.latency, float(limit), periods)
        #: Places taken since all of them were free, modulo their number.
        self._taken = 0.0
        #: When all places are free again.
        self._drained = 0.0
        #: When the next transfer may be accepted.
        self.free = 0.0
        #: Cycles in which transactions waited to be accepted.
        self.stalled = 0.0

    def serve(self, ready: float, beats: float, bursts: float) -> Served:
        """Serve `beats` beats in `bursts` transactions that are asked for at `ready`.

        Both may be fractions, where a transfer is split evenly.
        """
        if bursts <= 0.0:
            return Served(ready, ready, ready)
        pace = self._paces[beats / bursts]
        asked = ready if ready > self.free else self.free
        if self._periods is None:
            start, last = asked, self._accept(asked, bursts, pace)
        else:
            start, last = self._admit(self._periods, asked, bursts, pace)
        waited = last - asked - bursts
        if waited > 0.0:
            self.stalled += waited
        return Served(start, last, last + self.latency + pace.burst)

    def sustained(self, beats: float, bursts: float) -> float:
        """Cycles that `beats` beats in `bursts` transactions occupy the channel, latency apart."""
        return bursts * self._paces[beats / bursts].sustained if bursts > 0.0 else 0.0

    def charge(self, start: float, end: float, beats: float) -> None:
        """Let beats that pass between two times count towards the cap, and delay nobody else."""
        periods = self._periods
        if periods is not None and periods.cap:
            periods.spread(start, end, beats)

    def _accept(self, time: float, count: float, pace: Pace) -> float:
        """Accept `count` transactions from `time` on; when the last of them is accepted.

        Up to `limit` of them, less the places taken, come at the pace of the data lane, the next
        when the first one ends, a `turn` after it was accepted.
        """
        burst, turn = pace.burst, pace.turn
        last = time
        if not turn:
            self.free = time + count * burst
            if count > 1.0:
                last += (count - 1.0) * burst
            self._taken = 0.0
        else:
            limit = pace.limit
            taken = self._taken if time < self._drained else 0.0
            ends = taken + count
            rounds = ends // limit
            self._taken = ends - rounds * limit
            self.free = time + rounds * turn + (self._taken - taken) * burst
            if count > 1.0:
                rounds = (ends - 1.0) // limit
                last += rounds * turn + (ends - 1.0 - rounds * limit - taken) * burst
        self._drained = last + self.latency + burst
        return last

    def _admit(self, periods: Periods, time: float, left: float, pace: Pace) -> tuple[float, float]:
        """When the first and the last of `left` transactions are accepted, period by period."""
        cap, burst = periods.cap, pace.burst
        start = -1.0
        while True:
            time, period, used = periods.opening(time)
            if start < 0.0:
                start = time
            room = periods.on - (time - period * periods.length)
            count = pace.fitting(room, self._taken if time < self._drained else 0.0)
            if cap:
                allowed = float(ceil((cap - used) / burst - ROUNDING))
                if allowed < count:
                    count = allowed
            if left < count:
                count = left
            last = self._accept(time, count, pace)
            if cap:
                periods.record(period, used + count * burst)
            left -= count
            if left <= ROUNDING:
                return start, last
            period, left = _skip(periods, period + 1.0, left, pace)
            time = period * periods.length


def _skip(periods: Periods, period: float, left: float, pace: Pace) -> tuple[float, float]:
    """Skip whole periods of a steady stream, which has them to itself, from `period` on.

    The period in which it ends, and how many transactions that one serves of the `left` ones.
    """
    if not periods.untouched_after(period - 1.0):
        return period, left
    full = ceil_div(left, pace.per_period) - 1.0
    if periods.cap and full:
        periods.record_steadily(period, full, pace.per_period * pace.burst)
    return period + full, left - full * pace.per_period


def channels(timing: PortTiming) -> tuple[Channel, Channel]:
    """The read and the write direction of a port."""
    periods = Periods(timing) if timing.period else None
    reads, writes = (_both(limit, timing.maxrw) for limit in (timing.maxr, timing.maxw))
    return (
        Channel(latency=timing.rlatency, limit=reads, periods=periods),
        Channel(latency=timing.wlatency, limit=writes, periods=periods),
    )


def _both(one: int, other: int) -> int:
    """The limit where two hold; 0 is none."""
    return min(one, other) if one and other else one or other
