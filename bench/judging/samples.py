"""Repeated figures of a cell, and the scale on which they are compared. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from statistics import fmean, stdev

from bench.plan.metrics import MetricName

__all__ = ["Sample", "Scale", "deviations", "scale_of"]

#: Metrics that are shares, whose differences say more than their ratios.
_SHARES = frozenset({MetricName.ACCURACY, MetricName.ACTIVE_SHARE, MetricName.MEMORY_WAIT})
#: Share by which equal figures may differ: they are quotients of counts.
_ROUNDING = 1e-9


class Scale(str, Enum):
    """How two figures are compared."""

    #: By their ratio; the spread is that of natural logarithms.
    RELATIVE = "relative"
    #: By their difference; the spread has the metric's unit.
    ABSOLUTE = "absolute"


@dataclass(frozen=True)
class Sample:
    """The figures of one metric in one cell, each of another run."""

    cell: str
    workload: str
    variant: str
    #: Memory mode, target, and whatever else ends its id: `shared_sram-sim`.
    place: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The arithmetic mean."""
        return fmean(self.values)

    @property
    def deviation(self) -> float:
        """The standard deviation, with n - 1; 0 if they differ by no more than by rounding."""
        low, high = min(self.values), max(self.values)
        return 0.0 if math.isclose(low, high, rel_tol=_ROUNDING) else stdev(self.values)


def scale_of(metric: MetricName, samples: Iterable[Sample]) -> Scale:
    """How figures of `metric` are compared; ratios need figures above 0."""
    if metric in _SHARES or any(value <= 0 for s in samples for value in s.values):
        return Scale.ABSOLUTE
    return Scale.RELATIVE


def deviations(sample: Sample, scale: Scale) -> tuple[float, ...]:
    """The figures on the scale, from their mean there."""
    values = [math.log(v) for v in sample.values] if scale is Scale.RELATIVE else sample.values
    mean = fmean(values)
    return tuple(value - mean for value in values)
