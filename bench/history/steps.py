"""Steps in a series: where a figure changed and stayed changed. Pure.

If nothing in a series is left to chance, every change is a step, however small. A series has noise
if a board measured it, or if the same recipe was trained to other weights now and then. There a
step is a change of level that the noise does not explain. `ruptures` finds these levels: the
piecewise constant signal with the least squared error, at a price for each step (Killick et al.,
"Optimal Detection of Changepoints With a Linear Computational Cost", 2012).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from bench.history.causes import changes_between, is_retrained
from bench.history.rows import FigureSource
from bench.history.series import Point

__all__ = ["Step", "find_steps", "is_noisy", "noisy_breaks"]

_BOARD = FigureSource.BOARD.value

#: Runs that a level lasts at least; less is an outlier.
_SHORTEST = 3
#: Runs that differ from the runs around them are outliers if they are no larger a share.
_RARE = 0.05
#: The width, in runs, of the window in which an outlier stands out: a level fills most of it.
_WINDOW = 2 * _SHORTEST - 1
#: An outlier is further from the median around it than this many standard deviations.
_OUTLIER = 4.0
#: The price of a step is this times log(runs), in squared standard deviations. On series without a
#: step it gives at most 5 false steps per 100 series of 8 runs, 3 of 20 runs and 1 of 50 runs, and
#: it finds 96 of 100 steps of 4 standard deviations in 20 runs; tests/unit/test_history_steps.py.
_PRICE = 5.0
#: A median of absolute values -> the standard deviation, for normal noise.
_MAD = 0.6745


@dataclass(frozen=True)
class Step:
    """A change of level."""

    #: The first run after it, as an index into the series' points.
    index: int
    before: float
    after: float
    #: What changed between the last run before and the first after, what explains most first;
    #: empty if the records know of nothing.
    changes: tuple[str, ...]

    @property
    def relative(self) -> float | None:
        """The change as a share of the figure before; None if that was 0."""
        return (self.after - self.before) / abs(self.before) if self.before else None


def is_noisy(points: Sequence[Point]) -> bool:
    """Whether chance has a part in the series. Points without a value do not count."""
    known = [point for point in points if point.value is not None]
    return any(not _repeatable(point) for point in known) or any(
        is_retrained(before, after) for before, after in pairwise(known)
    )


def _repeatable(point: Point) -> bool:
    """Whether the figure is the same each time it is measured of the same model."""
    return point.source != _BOARD


def find_steps(points: Sequence[Point]) -> tuple[Step, ...]:
    """The steps in the series of `points`, oldest first. Points without a value are passed over."""
    places = [i for i, point in enumerate(points) if point.value is not None]
    known = [points[i] for i in places]
    values = [point.value for point in known if point.value is not None]
    levels = _noisy_levels(values) if is_noisy(known) else {}
    for i in range(1, len(values)):
        if values[i] != values[i - 1] and _is_no_chance(known[i - 1], known[i]):
            levels[i] = (values[i - 1], values[i])
    return tuple(
        Step(places[i], *levels[i], changes_between(known[i - 1], known[i])) for i in sorted(levels)
    )


def _is_no_chance(before: Point, after: Point) -> bool:
    return _repeatable(before) and _repeatable(after) and not is_retrained(before, after)


def _noisy_levels(values: Sequence[float]) -> dict[int, tuple[float, float]]:
    """The first run of each new level -> the medians of the levels before and after."""
    breaks = noisy_breaks(values)
    ends = [0, *breaks, len(values)]
    medians = [median(values[a:b]) for a, b in pairwise(ends)]
    return dict(zip(breaks, pairwise(medians), strict=True))


def noisy_breaks(values: Sequence[float]) -> list[int]:
    """The indices at which a new level begins in `values`, which are noisy."""
    if len(values) < 2 * _SHORTEST:
        return []
    # What is loaded with it takes seconds on a cold disk, and most series have no noise.
    import numpy as np
    from ruptures import KernelCPD

    calm, noise = _without_outliers(values)
    if noise == 0:
        return [i for i in range(1, len(calm)) if calm[i] != calm[i - 1]]
    signal = ((np.asarray(calm) - calm[0]) / noise).reshape(-1, 1)
    price = _PRICE * math.log(len(calm))
    found = KernelCPD(kernel="linear", min_size=_SHORTEST).fit(signal).predict(pen=price)
    return [int(end) for end in found[:-1]]


def _without_outliers(values: Sequence[float]) -> tuple[list[float], float]:
    """`values` with outliers replaced by the median around them, and the noise.

    The noise is a standard deviation. It is that of the differences from run to run, on which a
    few steps have no influence. Where more than half of these are 0, as with counts that seldom
    differ, it is the median distance of those that do from the values around them; 0 if such
    values are rare.
    """
    last = len(values) - _WINDOW
    begins = [min(max(0, i - _WINDOW // 2), last) for i in range(len(values))]
    around = [median(values[begin : begin + _WINDOW]) for begin in begins]
    distances = [abs(value - middle) for value, middle in zip(values, around, strict=True)]
    noise = median(abs(b - a) for a, b in pairwise(values)) / (_MAD * math.sqrt(2))
    different = [distance for distance in distances if distance]
    if noise == 0 and len(different) > _RARE * len(values):
        noise = median(different) / _MAD
    calm = [
        middle if distance > _OUTLIER * noise else value
        for value, middle, distance in zip(values, around, distances, strict=True)
    ]
    return calm, noise
