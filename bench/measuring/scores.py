"""Figures of merit of a model's outputs against labels. Pure functions of arrays.

Outputs are real numbers (scores of classes, or values), or integers (class numbers, of a model that
ends in ARG_MAX).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.measuring.finite import finite_figure
from bench.plan.metrics import AccuracyMetric

__all__ = ["auc", "check_labels", "evaluate", "mse", "top1"]

_TOP = 5
#: The metrics that compare class numbers.
_OF_CLASSES = frozenset(
    {AccuracyMetric.TOP1, AccuracyMetric.TOP5, AccuracyMetric.F1, AccuracyMetric.IOU}
)


def top1(outputs: Array, labels: Array) -> float:
    """Share of rows of `outputs` (`[n, ...]`, n > 0) whose largest element is at `labels[n]`.

    Among equal elements the first counts, as in applications on the device; coarse quantisation
    makes ties common. Raises `ModelError` when the shapes do not fit.
    """
    check_labels(AccuracyMetric.TOP1, outputs.shape, labels)
    return float(np.mean(_predicted(outputs) == labels))


def _top5(outputs: Array, labels: Array) -> float:
    scores = outputs.reshape(len(outputs), -1).astype(np.float64)
    # A stable sort: among equal elements the first counts, as for top1.
    best = np.argsort(-scores, axis=1, kind="stable")[:, :_TOP]
    return float(np.mean((best == labels[:, None]).any(axis=1)))


def _f1(outputs: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, _predicted(outputs), average="macro", zero_division=0))


def _iou(outputs: Array, labels: Array) -> float:
    from sklearn.metrics import jaccard_score

    predicted = outputs if outputs.dtype.kind in "iu" else outputs.argmax(axis=-1)
    return float(
        jaccard_score(labels.reshape(-1), predicted.reshape(-1), average="macro", zero_division=0)
    )


def auc(scores: Array, labels: Array) -> float:
    """Area under the ROC curve of `scores` `[n]` (higher = positive) for labels 0 and 1 `[n]`.

    This is the Mann-Whitney statistic with average ranks: the probability that a positive row
    scores above a negative one, where an equal score counts half. Raises `ModelError` unless both
    classes are present.
    """
    check_labels(AccuracyMetric.AUC, scores.shape, labels)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise ModelError("auc needs one finite score per row", cure="choose another metric")
    positive = labels.astype(bool)
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # Ranks are 1-based; equal scores share the mean of their ranks.
    average_rank = np.cumsum(counts) - (counts - 1) / 2
    positives = int(positive.sum())
    negatives = positive.size - positives
    rank_sum = float(average_rank[group.reshape(-1)][positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def mse(outputs: Array, expected: Array) -> float:
    """Mean squared difference of two arrays of one shape, computed in float64.

    Raises `ModelError` when the shapes differ or there is nothing to compare.
    """
    check_labels(AccuracyMetric.MSE, outputs.shape, expected)
    # An overflow gives infinity, which `evaluate` reports.
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean((outputs.astype(np.float64) - expected.astype(np.float64)) ** 2))


def _mae(outputs: Array, expected: Array) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean(np.abs(outputs.astype(np.float64) - expected.astype(np.float64))))


def _row_auc(outputs: Array, labels: Array) -> float:
    columns = outputs.reshape(len(outputs), -1)
    if columns.shape[1] == 1:
        return auc(columns[:, 0], labels)
    # The difference, not the second column alone: outputs need not sum to one.
    wide = columns.astype(np.float64)
    return auc(wide[:, 1] - wide[:, 0], labels)


_METRICS: dict[AccuracyMetric, Callable[[Array, Array], float]] = {
    AccuracyMetric.TOP1: top1,
    AccuracyMetric.TOP5: _top5,
    AccuracyMetric.F1: _f1,
    AccuracyMetric.IOU: _iou,
    AccuracyMetric.AUC: _row_auc,
    AccuracyMetric.MSE: mse,
    AccuracyMetric.MAE: _mae,
}


def evaluate(metric: AccuracyMetric, outputs: Array, labels: Array) -> float:
    """`metric` of one output `[n, ...]`: real values, or integers that are numbers of classes.

    - TOP1, TOP5 and F1 (the mean over the classes) take class numbers `[n]`.
    - IOU (the mean over the classes) takes the class of each pixel, `[n, height, width]` for
      outputs `[n, height, width, classes]`.
    - MSE and MAE take expected values in the output's shape.
    - AUC takes labels 0 and 1 `[n]`; the score of a row is its one element or, of two classes, the
      second minus the first.

    F1 and IOU are scikit-learn's. Raises `ModelError` like `check_labels`, and if the metric is not
    a finite number.
    """
    check_labels(metric, outputs.shape, labels)
    return finite_figure(metric.value, _METRICS[metric](outputs, labels), outputs, labels)


def check_labels(metric: AccuracyMetric, shape: Sequence[int], labels: Array) -> None:
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
        classes = _classes(metric, tuple(shape))
        least, most = int(labels.min()), int(labels.max())
        if least < 0 or (classes > 1 and most >= classes):
            raise ModelError(
                f"labels run from {least} to {most}, the model has {classes} classes",
                cure="check that dataset and model belong together",
            )


def _classes(metric: AccuracyMetric, shape: tuple[int, ...]) -> int:
    """How many classes outputs of that shape score; 1 if they are class numbers."""
    return shape[-1] if metric is AccuracyMetric.IOU else math.prod(shape[1:])


def _problem(metric: AccuracyMetric, shape: tuple[int, ...], labels: Array) -> str:
    """What the metric needs but does not have; empty if nothing is missing."""
    if math.prod(shape) == 0:
        return "outputs"
    if metric in (AccuracyMetric.MSE, AccuracyMetric.MAE):
        return "" if labels.shape == shape else "expected values of the outputs' shape"
    if metric is AccuracyMetric.AUC:
        if math.prod(shape[1:]) > 2 or labels.shape != shape[:1]:
            return "one score or two classes, and one label 0 or 1 per row"
        two = np.isin(labels, (0, 1)).all() and np.unique(labels).size == 2
        return "" if two else "labels 0 and 1, each at least once"
    if labels.dtype.kind not in "iu":
        return "integer classes"
    if metric is AccuracyMetric.IOU:
        fits = len(shape) > 2 and labels.shape in (shape[:-1], shape)
        return "" if fits else "one integer class for each pixel"
    if labels.shape != shape[:1]:
        return "one integer class per row"
    if metric is AccuracyMetric.TOP5 and math.prod(shape[1:]) <= _TOP:
        return f"scores of more than {_TOP} classes"
    return ""


def _cure(shape: tuple[int, ...], labels: Array) -> str:
    if labels.ndim == 2 and labels.shape == shape and np.isin(labels, (0, 1)).all():
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
