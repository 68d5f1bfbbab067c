"""Which way a figure improves. Of the accuracy that depends on the figure of merit."""

from __future__ import annotations

from bench.plan.metrics import AccuracyMetric, Better, MetricName, accuracy_better, describe
from bench.records.record import Record

__all__ = ["better_of", "is_a_share", "is_worse", "merit_of"]

_ERRORS = (AccuracyMetric.MSE, AccuracyMetric.MAE)
_WAYS = {"at least": Better.HIGHER, "at most": Better.LOWER}


def merit_of(record: Record) -> str:
    """The figure of merit (`top1`); empty without accuracy."""
    return record.accuracy.metric if record.accuracy else ""


def is_a_share(record: Record) -> bool:
    """Whether the accuracy is one from 0 to 1, as all of the bench's are that are no error."""
    known = [metric.value for metric in AccuracyMetric if metric not in _ERRORS]
    return merit_of(record) in known


def better_of(record: Record, metric: MetricName, stated: Better | None = None) -> Better | None:
    """Which way `metric` improves in `record`; None if nothing says so.

    The accuracy improves as its figure of merit does: an error downwards. Of a function of the
    user's, only a limit says so: `stated`, or the one that judged it.
    """
    name = merit_of(record)
    if metric is not MetricName.ACCURACY or not name:
        return describe(metric).better
    known = accuracy_better(name)
    if known is not None:
        return known
    directions = {v.direction for v in record.verdicts if v.metric == metric.value}
    ways = {_WAYS[one] for one in directions if one in _WAYS} | ({stated} if stated else set())
    return ways.pop() if len(ways) == 1 else None


def is_worse(
    record: Record,
    metric: MetricName,
    before: float,
    after: float,
    stated: Better | None = None,
) -> bool:
    """Whether a figure that went from `before` to `after`, which differ, got worse.

    If nothing says which way it improves, every change counts as one for the worse.
    """
    better = better_of(record, metric, stated)
    return better is None or (after > before) == (better is Better.LOWER)
