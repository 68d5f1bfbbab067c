"""What the labels of a test set are, as far as it decides which metric can be computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.core.arrays import Array, row_parts
from bench.core.schema import StrictModel
from bench.plan.metrics import AccuracyMetric

__all__ = ["LabelFacts", "are_of_steps", "facts_of_labels", "summarise_labels"]


class LabelFacts(StrictModel):
    """All that is known of labels without looking at each."""

    #: `[n, ...]`.
    shape: tuple[int, ...]
    dtype: str
    #: The least and the largest label.
    least: int | float
    most: int | float
    #: Whether every label is 0 or 1.
    binary: bool

    @property
    def are_integers(self) -> bool:
        """Whether they can be numbers of classes."""
        return np.dtype(self.dtype).kind in "iu"


def are_of_steps(shape: Sequence[int], steps: int | None, metric: AccuracyMetric | None) -> bool:
    """Whether labels of that shape are one for each step of streams, `[n, steps, ...]`.

    Otherwise they are for whole streams, `[n, ...]`, that is for their last step. Expected values
    of one output (MSE, MAE) are `[n, elements]`, and could be taken for steps.
    """
    if steps is None or tuple(shape[1:2]) != (steps,):
        return False
    return len(shape) > 2 or metric not in (AccuracyMetric.MSE, AccuracyMetric.MAE)


@dataclass
class _Range:
    least: int | float | None = None
    most: int | float | None = None
    binary: bool = True

    def see(self, part: Array) -> None:
        number = float if part.dtype.kind == "f" else int
        low, high = number(part.min()), number(part.max())
        self.least = low if self.least is None else min(self.least, low)
        self.most = high if self.most is None else max(self.most, high)
        self.binary = self.binary and bool(((part == 0) | (part == 1)).all())


def summarise_labels(
    shape: tuple[int, ...], dtype: np.dtype[np.generic], parts: Iterable[Array]
) -> LabelFacts:
    """The facts of labels that come in `parts`, in any order; there is at least one label."""
    found = _Range()
    for part in parts:
        if part.size:
            found.see(part)
    return LabelFacts(
        shape=shape,
        dtype=dtype.name,
        least=0 if found.least is None else found.least,
        most=0 if found.most is None else found.most,
        binary=found.binary,
    )


def facts_of_labels(labels: Array) -> LabelFacts:
    """The facts of `labels` `[n, ...]`."""
    return summarise_labels(labels.shape, labels.dtype, row_parts(labels))
