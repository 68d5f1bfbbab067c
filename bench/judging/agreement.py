"""Which cells vary alike, and how much their runs say together. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.judging.samples import Sample, deviations, scale_of
from bench.plan.metrics import MetricName

__all__ = ["agreeing", "degrees_of_freedom"]

#: Cells are taken to vary differently if they would differ so much by chance this rarely.
_DISAGREE_BELOW = 0.05


def agreeing(
    metric: MetricName, samples: Sequence[Sample]
) -> Iterator[tuple[Sequence[Sample], tuple[str, ...]]]:
    """The largest groups of cells that vary alike, each with patterns of their ids.

    Memory modes and targets are never put together, nor versions of Vela: what varies with one may
    stand still with another. Of each, all cells are together if they vary alike, else those of a
    workload, else those of a variant, else each is alone. In a group none varies, or all do.
    """
    for group in _split(samples, _LEVELS[0]):
        for level, part in _agreeing(metric, group, 0):
            yield part, _PATTERNS[level](part)


def degrees_of_freedom(values: npt.NDArray[np.float64]) -> float:
    """The degrees of freedom of the mean of the cells' variances.

    `values` is `[cells, runs]`, from the means of the cells. Cells of one run may have the same
    model, or models made from each other. If S is the covariance matrix of the cells, the mean of
    its diagonal varies like a chi-square with (runs - 1) tr(S)^2 / tr(S^2) degrees of freedom:
    runs - 1 for cells that vary together, and up to as many times more as there are cells that do
    not. Source: Satterthwaite, *An approximate distribution of estimates of variance components*,
    Biometrics Bulletin 2 (1946), for correlated terms as in Box, Ann. Math. Statist. 25 (1954).
    """
    gram = values.T @ values
    return float((values.shape[1] - 1) * np.trace(gram) ** 2 / (gram**2).sum())


#: By what cells are put together, the widest first.
_LEVELS: tuple[Callable[[Sample], str], ...] = (
    lambda sample: sample.place,
    lambda sample: sample.workload,
    lambda sample: sample.variant,
    lambda sample: sample.cell,
)


def _of_workloads(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{s.workload}-*-{s.place}" for s in samples))


def _of_variants(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{s.workload}-{s.variant}-*-{s.place}" for s in samples))


def _of_cells(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.cell for s in samples))


_PATTERNS = (_of_workloads, _of_workloads, _of_variants, _of_cells)


def _agreeing(
    metric: MetricName, samples: Sequence[Sample], level: int
) -> Iterator[tuple[int, Sequence[Sample]]]:
    """The largest groups of cells that vary alike, each with the level that holds it together."""
    if level + 1 == len(_LEVELS) or _agree(metric, samples):
        yield level, samples
        return
    for part in _split(samples, _LEVELS[level + 1]):
        yield from _agreeing(metric, part, level + 1)


def _agree(metric: MetricName, samples: Sequence[Sample]) -> bool:
    """Whether they vary alike: none does, or the Brown-Forsythe test finds no difference.

    Source: Brown and Forsythe, *Robust tests for the equality of variances*, JASA 69 (1974). Unlike
    Bartlett's it does not take a long tail for a difference.
    """
    varying = [sample for sample in samples if sample.deviation]
    if not varying or len(samples) == 1:
        return True
    if len(varying) < len(samples):
        return False
    scale = scale_of(metric, samples)
    groups = [deviations(sample, scale) for sample in samples]
    return float(stats.levene(*groups, center="median").pvalue) >= _DISAGREE_BELOW


def _split(samples: Sequence[Sample], key: Callable[[Sample], str]) -> Iterator[list[Sample]]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[key(sample)].append(sample)
    yield from groups.values()
