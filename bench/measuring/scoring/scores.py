"""Figures of merit of a model's outputs against labels. Pure functions of arrays.

Outputs are real numbers (scores of classes, or values), or integers (class numbers, of a model that
ends in ARG_MAX). They come in parts, because those of a large test set do not fit into memory; what
is kept of a part is a few counts, or a number for each row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.core.arrays import Array, row_slices
from bench.core.errors import ModelError
from bench.measuring.finite import not_finite
from bench.measuring.scoring.labels import LabelFacts, facts_of_labels
from bench.plan.metrics import AccuracyMetric

__all__ = ["Scored", "check_labels", "evaluate"]

_TOP = 5
#: The metrics that compare class numbers.
_OF_CLASSES = frozenset(
    {AccuracyMetric.TOP1, AccuracyMetric.TOP5, AccuracyMetric.F1, AccuracyMetric.IOU}
)


@dataclass(frozen=True)
class Scored:
    """A model's outputs `[n, ...]`, n > 0, as they are stored, and the labels `[n, ...]`."""

    stored: Array
    labels: Array
    #: Makes real values of a part of the outputs, shape for shape.
    real: Callable[[Array], Array] = np.asarray

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.stored)

    def parts(self) -> Iterator[tuple[Array, Array]]:
        """Some rows of the outputs, in real values, and of the labels; all rows in order."""
        row_bytes = max(self.stored[:1].nbytes, self.labels[:1].nbytes)
        for part in row_slices(self.rows, row_bytes):
            yield self.real(self.stored[part]), self.labels[part]

    def range(self) -> tuple[float, float]:
        """The least and the largest output."""
        ranges = [(float(part.min()), float(part.max())) for part, _ in self.parts()]
        return min(low for low, _ in ranges), max(high for _, high in ranges)


def evaluate(metric: AccuracyMetric, scored: Scored) -> float:
    """`metric` of one output: real values, or integers that are numbers of classes.

    - TOP1, TOP5 and F1 (the mean over the classes) take class numbers `[n]`.
    - IOU (the mean over the classes) takes the class of each pixel, `[n, height, width]` for
      outputs `[n, height, width, classes]`.
    - MSE and MAE take expected values in the output's shape.
    - AUC takes labels 0 and 1 `[n]`; the score of a row is its one element or, of two classes, the
      second minus the first.

    Among equal scores the first counts, as in applications on the device; coarse quantisation makes
    ties common. F1 is scikit-learn's. Raises `ModelError` like `check_labels`, and if the metric is
    not a finite number.
    """
    facts = facts_of_labels(scored.labels)
    check_labels(metric, scored.stored.shape, facts)
    value = _METRICS[metric](scored)
    if not math.isfinite(value):
        raise not_finite(metric.value, value, scored.range(), (facts.least, facts.most))
    return value


def check_labels(metric: AccuracyMetric, shape: Sequence[int], labels: LabelFacts) -> None:
    """Raise `ModelError`, with the cure, unless `metric` can compare outputs with `labels`.

    `shape` is that of the outputs, `[n, ...]`: known before anything has run.
    """
    problem = _problem(metric, tuple(shape), labels)
    if problem:
        raise ModelError(
            f"{metric.value} needs {problem}; given outputs {list(shape)} and labels "
            f"{labels.dtype} {list(labels.shape)}",
            cure=_cure(tuple(shape), labels),
        )
    if metric in _OF_CLASSES:
        classes = _classes(metric, tuple(shape), labels)
        least, most = int(labels.least), int(labels.most)
        if least < 0 or (classes > 1 and most >= classes):
            raise ModelError(
                f"labels run from {least} to {most}, the model has {classes} classes",
                cure="check that dataset and model belong together",
            )


def _top1(scored: Scored) -> float:
    """Share of rows whose largest element is at their label."""
    hits = sum(int(np.count_nonzero(_predicted(part) == labels)) for part, labels in scored.parts())
    return hits / scored.rows


def _top5(scored: Scored) -> float:
    hits = 0
    for part, labels in scored.parts():
        scores = part.reshape(len(part), -1).astype(np.float64)
        # A stable sort: among equal elements the first counts, as for top1.
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_TOP]
        hits += int(np.count_nonzero((best == labels[:, None]).any(axis=1)))
    return hits / scored.rows


def _f1(scored: Scored) -> float:
    from sklearn.metrics import f1_score

    predicted = np.concatenate([_predicted(part) for part, _ in scored.parts()])
    return float(f1_score(scored.labels, predicted, average="macro", zero_division=0))


def _iou(scored: Scored) -> float:
    """The mean, over the classes that occur, of intersection over union.

    scikit-learn's `jaccard_score(average="macro")` is the same of whole arrays; a class of each
    pixel of a large test set would fill the memory.
    """
    intersection: Counter[int] = Counter()
    both: Counter[int] = Counter()
    for part, labels in scored.parts():
        predicted = part if part.dtype.kind in "iu" else part.argmax(axis=-1)
        predicted, wanted = predicted.reshape(-1), labels.reshape(-1)
        intersection.update(_counts(wanted[predicted == wanted]))
        both.update(_counts(predicted))
        both.update(_counts(wanted))
    shares = [
        intersection[number] / (both[number] - intersection[number]) for number in sorted(both)
    ]
    return float(np.mean(shares))


def _counts(numbers: Array) -> dict[int, int]:
    found, counts = np.unique(numbers, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _auc(scored: Scored) -> float:
    """Area under the ROC curve for labels 0 and 1 `[n]`, of one score a row (higher = positive).

    This is the Mann-Whitney statistic with average ranks: the probability that a positive row
    scores above a negative one, where an equal score counts half.
    """
    scores = np.concatenate([_row_scores(part) for part, _ in scored.parts()])
    if not np.isfinite(scores).all():
        raise ModelError("auc needs one finite score per row", cure="choose another metric")
    positive = scored.labels.astype(bool)
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # Ranks are 1-based; equal scores share the mean of their ranks.
    average_rank = np.cumsum(counts) - (counts - 1) / 2
    positives = int(positive.sum())
    negatives = positive.size - positives
    rank_sum = float(average_rank[group.reshape(-1)][positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def _row_scores(outputs: Array) -> Array:
    columns = outputs.reshape(len(outputs), -1)
    if columns.shape[1] == 1:
        return columns[:, 0]
    # The difference, not the second column alone: outputs need not sum to one.
    wide = columns.astype(np.float64)
    return wide[:, 1] - wide[:, 0]


def _mse(scored: Scored) -> float:
    return _mean(scored, np.square)


def _mae(scored: Scored) -> float:
    return _mean(scored, np.abs)


def _mean(scored: Scored, of: Callable[[Array], Array]) -> float:
    """The mean `of` the differences, computed in float64."""
    total = 0.0
    # An overflow gives infinity, which `evaluate` reports.
    with np.errstate(over="ignore", invalid="ignore"):
        for part, labels in scored.parts():
            total += float(np.sum(of(part.astype(np.float64) - labels.astype(np.float64))))
    return total / scored.stored.size


_METRICS: dict[AccuracyMetric, Callable[[Scored], float]] = {
    AccuracyMetric.TOP1: _top1,
    AccuracyMetric.TOP5: _top5,
    AccuracyMetric.F1: _f1,
    AccuracyMetric.IOU: _iou,
    AccuracyMetric.AUC: _auc,
    AccuracyMetric.MSE: _mse,
    AccuracyMetric.MAE: _mae,
}


def _classes(metric: AccuracyMetric, shape: tuple[int, ...], labels: LabelFacts) -> int:
    """How many classes outputs of that shape score; 1 if they are class numbers."""
    if metric is not AccuracyMetric.IOU:
        return math.prod(shape[1:])
    return 1 if labels.shape == shape else shape[-1]


def _problem(metric: AccuracyMetric, shape: tuple[int, ...], labels: LabelFacts) -> str:
    """What the metric needs but does not have; empty if nothing is missing."""
    if math.prod(shape) == 0:
        return "outputs"
    if metric in (AccuracyMetric.MSE, AccuracyMetric.MAE):
        return "" if labels.shape == shape else "expected values of the outputs' shape"
    if metric is AccuracyMetric.AUC:
        if math.prod(shape[1:]) > 2 or labels.shape != shape[:1]:
            return "one score or two classes, and one label 0 or 1 per row"
        two = labels.binary and labels.least != labels.most
        return "" if two else "labels 0 and 1, each at least once"
    if not labels.are_integers:
        return "integer classes"
    if metric is AccuracyMetric.IOU:
        fits = len(shape) > 2 and labels.shape in (shape[:-1], shape)
        return "" if fits else "one integer class for each pixel"
    if labels.shape != shape[:1]:
        return "one integer class per row"
    if metric is AccuracyMetric.TOP5 and math.prod(shape[1:]) <= _TOP:
        return f"scores of more than {_TOP} classes"
    return ""


def _cure(shape: tuple[int, ...], labels: LabelFacts) -> str:
    if len(labels.shape) == 2 and labels.shape == shape and labels.binary:
        return "the labels are one-hot: save labels.argmax(axis=1), the number of each class"
    return "choose another metric or correct the dataset's labels"


def _predicted(outputs: Array) -> Array:
    """The class of each row: the index of its largest score, or the number itself, `[n]`."""
    rows = outputs.reshape(len(outputs), -1)
    if outputs.dtype.kind in "iu" and rows.shape[1] == 1:
        numbers: Array = rows[:, 0]
        return numbers
    places: Array = rows.argmax(axis=1)
    return places
