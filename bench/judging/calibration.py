"""How much figures vary while nothing is changed, and the tolerance that follows. Pure.

What is judged is the difference of two runs: the accepted one and today's. If figures vary
normally, with a standard deviation s estimated from other runs with f degrees of freedom, then the
difference of two new figures divided by sqrt(2) s has Student's t distribution with f degrees of
freedom. So a difference beyond t(1 - rate / 2, f) sqrt(2) s occurs by chance at `rate`. This is a
prediction interval (Hahn and Meeker, *Statistical Intervals*, 1991, section 4.7) for one figure,
given another.

Cells are put together where they vary alike, which gives more degrees of freedom; how many more
depends on how far they vary independently (see `degrees_of_freedom`).

Sizes, counts and times are compared by their ratio: their logarithms are taken to be normal, which
is nearly the same for a spread of a few per cent and fits every scale. Shares are compared by their
difference. docs/decisions/0031-calibration.md has the reasons.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy import stats

from bench.judging.agreement import agreeing, degrees_of_freedom
from bench.judging.samples import Sample, Scale, deviations, scale_of
from bench.plan.config import Widths
from bench.plan.metrics import MetricName

__all__ = [
    "FEWEST_RUNS",
    "Pooled",
    "Still",
    "calibrate",
    "expected_alarms",
]

#: Two figures say next to nothing of how much they vary.
FEWEST_RUNS = 3
#: Significant digits of a proposed tolerance.
_DIGITS = 2


@dataclass(frozen=True)
class Still:
    """Cells whose figure was the same in every run. That does not prove that it never changes."""

    samples: tuple[Sample, ...]

    @property
    def most_often(self) -> float:
        """In which share of runs it may differ: larger ones would have shown, in 95 of 100 cases.

        Source: the exact binomial bound for 0 of n, here of the comparisons with the first run.
        Cells of one run may vary together, so they count once.
        """
        return float(1 - 0.05 ** (1 / (len(self.samples[0].values) - 1)))


@dataclass(frozen=True)
class Pooled:
    """Cells that vary alike, and the tolerance that their spread asks for."""

    metric: MetricName
    samples: tuple[Sample, ...]
    #: Patterns of the cells that the tolerance is for.
    patterns: tuple[str, ...]
    scale: Scale
    #: Standard deviation on the scale.
    spread: float
    degrees: float
    #: How often chance alone may exceed the tolerance, in one comparison, 0..1.
    rate: float

    @property
    def quantile(self) -> float:
        """Student's t beyond which, on either side, `rate` of the differences lie."""
        return float(stats.t.isf(self.rate / 2, self.degrees))

    @property
    def reach(self) -> float:
        """The largest difference that does not count, on the scale."""
        return self.quantile * math.sqrt(2) * self.spread

    @property
    def widths(self) -> Widths:
        """The tolerance, rounded up."""
        if self.scale is Scale.RELATIVE:
            return Widths(relative=_rounded_up(math.expm1(self.reach)))
        return Widths(absolute=_rounded_up(self.reach))

    def false_alarms(self, widths: Widths) -> float:
        """How often chance alone exceeds `widths` in one comparison, in the cell most prone to it.

        Either way counts; half of that is for the worse.
        """
        differences = math.sqrt(2) * self.spread
        return max(
            float(2 * stats.t.sf(self._on_the_scale(widths, s) / differences, self.degrees))
            for s in self.samples
        )

    def power(self, widths: Widths, change: float) -> float:
        """How likely a change for the worse by the share `change` exceeds `widths`.

        In the cell in which that is least likely, with the spread taken for the true one.
        """
        differences = NormalDist(0, math.sqrt(2) * self.spread)
        return min(
            differences.cdf(self._moved(change, sample) - self._on_the_scale(widths, sample))
            for sample in self.samples
        )

    def _on_the_scale(self, widths: Widths, sample: Sample) -> float:
        floor = widths.floor(sample.mean)
        return math.log1p(floor / sample.mean) if self.scale is Scale.RELATIVE else floor

    def _moved(self, change: float, sample: Sample) -> float:
        if self.scale is Scale.RELATIVE:
            return math.log1p(change)
        return change * abs(sample.mean)


def calibrate(
    metric: MetricName, samples: Sequence[Sample], rate: float
) -> tuple[tuple[Pooled, ...], tuple[Still, ...]]:
    """The tolerances of one metric, as few as the cells' agreement allows; and what did not vary.

    Args:
        metric: the metric.
        samples: its figures, `FEWEST_RUNS` or more for each cell.
        rate: how often chance alone may exceed a tolerance in one comparison, 0..1, both ways.

    Raises:
        ValueError: a cell has fewer figures, or another number of them than the others.
    """
    runs = {len(sample.values) for sample in samples}
    if len(runs) > 1 or min(runs, default=FEWEST_RUNS) < FEWEST_RUNS:
        raise ValueError(f"{sorted(runs)} figures: each cell needs as many, at least {FEWEST_RUNS}")
    pooled: list[Pooled] = []
    still: list[Still] = []
    for part, patterns in agreeing(metric, sorted(samples, key=lambda sample: sample.cell)):
        if part[0].deviation:
            pooled.append(_pooled(metric, part, patterns, rate))
        else:
            still.append(Still(tuple(part)))
    return tuple(pooled), tuple(still)


def expected_alarms(comparisons: Iterable[tuple[Pooled, int]]) -> float:
    """The false alarms to expect in a run that makes so many comparisons with each tolerance.

    Expected numbers add up however the figures depend on each other. It is also the most that the
    probability of any alarm can be.
    """
    return sum(pooled.false_alarms(pooled.widths) * n for pooled, n in comparisons)


def _pooled(
    metric: MetricName, samples: Sequence[Sample], patterns: tuple[str, ...], rate: float
) -> Pooled:
    scale = scale_of(metric, samples)
    values = np.array([deviations(sample, scale) for sample in samples])
    runs = values.shape[1]
    return Pooled(
        metric=metric,
        samples=tuple(samples),
        patterns=patterns,
        scale=scale,
        spread=math.sqrt(float((values**2).sum()) / (len(samples) * (runs - 1))),
        degrees=degrees_of_freedom(values),
        rate=rate,
    )


def _rounded_up(value: float) -> float:
    """`value` with two significant digits, and never less than it."""
    exponent = math.floor(math.log10(value)) - _DIGITS + 1
    digits = math.ceil(value / 10.0**exponent)
    rounded = float(f"{digits}e{exponent}")
    return rounded if rounded >= value else float(f"{digits + 1}e{exponent}")
