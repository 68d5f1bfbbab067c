"""Bisection with steps that cannot be measured: what to measure next, and what is known. Pure.

Positions stand in a row: 0 is good, `last` is bad, and somewhere between them is the first bad one.
Each measurement in the middle of what is left halves it. Where a position cannot be measured, its
neighbours are often broken by the same thing, so the next one is taken further away: at a quarter,
at three quarters, at an eighth, and so on (van der Corput's sequence).

With `n` positions, of which `u` cannot be measured, there are at most `log2(n) + 1 + 2 u`
measurements: one in the middle halves what is left, and each of the others either is one of the `u`
or follows one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["Outcome", "Search", "is_bad"]


class Outcome(str, Enum):
    """What is known of a position."""

    GOOD = "good"
    BAD = "bad"
    #: It cannot be measured.
    UNKNOWN = "unknown"


def is_bad(value: float, good: float, bad: float) -> bool:
    """Whether a figure is at least halfway from `good` to `bad`, which differ."""
    if good > bad:
        value, good, bad = -value, -good, -bad
    return value - good >= bad - value


@dataclass(frozen=True)
class Search:
    """Where a search stands."""

    #: The bad end.
    last: int
    #: Position between the ends -> what was found there.
    outcomes: Mapping[int, Outcome]

    @property
    def first_bad(self) -> int:
        """The first position that is known to be bad."""
        found = [at for at, outcome in self.outcomes.items() if outcome is Outcome.BAD]
        return min([self.last, *found])

    @property
    def last_good(self) -> int:
        """The last position before it that is known to be good."""
        found = [at for at, outcome in self.outcomes.items() if outcome is Outcome.GOOD]
        return max([0, *(at for at in found if at < self.first_bad)])

    @property
    def untried(self) -> list[int]:
        """The positions between these two of which nothing is known."""
        between = range(self.last_good + 1, self.first_bad)
        return [at for at in between if at not in self.outcomes]

    @property
    def unknown(self) -> list[int]:
        """The positions between these two that cannot be measured."""
        between = range(self.last_good + 1, self.first_bad)
        return [at for at in between if self.outcomes.get(at) is Outcome.UNKNOWN]

    def next_position(self) -> int | None:
        """The position to measure next; None if the search is over."""
        untried = self.untried
        if not untried:
            return None
        return untried[int(_van_der_corput(len(self.unknown) + 1) * len(untried))]

    def after(self, position: int, outcome: Outcome) -> Search:
        """The search with one more outcome."""
        return Search(self.last, {**self.outcomes, position: outcome})


def _van_der_corput(number: int) -> float:
    """1/2, 1/4, 3/4, 1/8, 5/8, ... for 1, 2, 3, ...: the bits of `number` after the point."""
    value, digit = 0.0, 0.5
    while number:
        value += digit * (number & 1)
        number >>= 1
        digit /= 2
    return value
