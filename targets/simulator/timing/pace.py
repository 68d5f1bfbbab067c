"""How fast transactions of one size follow one another on an AXI port: closed forms.

Transactions of 8 beats, two of them under way at most, latency 16. A beat takes a cycle, so each
keeps its place for 24, and a `turn` is 24 cycles. The pulse lets addresses through for 40 of 60:

    cycle      0       8       16      24      32      40      48      56  60      68
    pulse      |<--------------- on ------------------>|<------ off ------>|<---- on ...
    accepted   1       2               3       4                           5       6
    place 1    [ latency       data   ][ latency       data   ]            [ latency ...
    place 2            [ latency       data   ][ latency       data   ]            [ ...
    data lane                  11111111222222222       3333333344444444
               |<------ turn --------->|
"""

from __future__ import annotations

from math import ceil, floor, inf

from targets.simulator.timing.periods import Periods

__all__ = ["ROUNDING", "Pace", "Paces"]

#: What float arithmetic may add to a number of transactions or cycles that is whole.
ROUNDING = 1e-9


class Pace:
    """Transactions of one size in one direction of a port. Never changed once made."""

    __slots__ = ("burst", "limit", "per_period", "sustained", "turn")

    def __init__(self, burst: float, latency: float, limit: float, periods: Periods | None) -> None:
        """Transactions of `burst` beats, of which `limit` may be under way (0: any number).

        Each keeps its place for `latency` cycles beside those of its beats.
        """
        #: Beats of each, and its cycles on the data lane. A fraction where a transfer is split.
        self.burst = burst
        self.limit = limit
        occupied = latency + burst
        #: Cycles from one to the one that takes its place, `limit` later. 0 where places are
        #: never short: then only the data lane decides.
        self.turn = occupied if limit and occupied > limit * burst else 0.0
        #: Cycles each takes in a steady stream.
        self.sustained = self.turn / limit if self.turn else burst
        #: How many a period of the adapter serves at most.
        self.per_period = inf
        if periods is not None:
            self.per_period = self._per_period(periods)
            self.sustained = max(self.sustained, periods.length / self.per_period)

    def fitting(self, room: float, taken: float) -> float:
        """How many are accepted in `room` cycles, `taken` places being in use."""
        burst, limit, turn = self.burst, self.limit, self.turn
        # None must be accepted at the very end of a pulse.
        room -= ROUNDING
        if not turn:
            return room // burst + 1 if burst else inf
        room += taken * burst
        rounds = room // turn
        places = (room - rounds * turn) / burst
        if places >= limit:
            places = limit - ROUNDING
        return float(floor(rounds * limit + places - taken)) + 1.0

    def _per_period(self, periods: Periods) -> float:
        count = self.fitting(periods.on, 0.0)
        if periods.cap:
            count = min(count, ceil(periods.cap / self.burst - ROUNDING))
        return count if count > 1 else 1.0


class Paces(dict[float, Pace]):
    """The paces of one direction of a port by their bursts, each made when it is first asked for.

    Most transfers of a network are of a few sizes.
    """

    def __init__(self, latency: float, limit: float, periods: Periods | None) -> None:
        super().__init__()
        self._latency, self._limit, self._periods = latency, limit, periods

    def __missing__(self, burst: float) -> Pace:
        pace = self[burst] = Pace(burst, self._latency, self._limit, self._periods)
        return pace
