"""The figures of a cell as reports show them: measured, accepted, allowed, and what became of each.

Everything comes from the record and its verdicts. Whether a change counts was judged before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.judging.verdicts import decisive
from bench.plan.metrics import MetricName, describe
from bench.records.figures import Absent, Number, shown, shown_number
from bench.records.metric_values import metric_value
from bench.records.record import Record, Status, Verdict
from bench.records.uncertainty import range_in_unit

__all__ = [
    "Change",
    "FigureView",
    "change_by_status",
    "change_of",
    "figures_of",
    "relative_words",
]


class Change(str, Enum):
    """What became of accepted figures, the most pressing first."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    #: There is no accepted figure to compare with.
    NEW = "new"


@dataclass(frozen=True, slots=True)
class FigureView:
    """One metric of one cell."""

    metric: MetricName
    #: In `unit`; None for the reason in `absent`.
    value: float | None
    absent: str
    unit: str
    #: Between which figures an estimate could lie, in `unit`; None if nobody says.
    could_be: tuple[float, float] | None
    #: The accepted figure; None if there is none.
    before: float | None
    change: Change
    #: What the configuration demands, in words; empty if nothing.
    limit: str
    #: Of the verdict that decides; None if nothing was judged.
    status: Status | None
    fails: bool
    reason: str
    cause: str
    remark: str

    @property
    def relative(self) -> float | None:
        """The change as a share of the accepted figure; None if there is none, or that is 0."""
        if self.value is None or not self.before:
            return None
        return (self.value - self.before) / abs(self.before)

    @property
    def shown(self) -> str:
        """The figure for people."""
        return "absent" if self.value is None else shown_number(self.value, self.unit)


def change_of(verdicts: Iterable[Verdict]) -> Change:
    """What became of the accepted figures that `verdicts` compare with; the worst decides."""
    found = {
        change_by_status(verdict.status) for verdict in verdicts if verdict.baseline is not None
    }
    return next((change for change in Change if change in found), Change.NEW)


def change_by_status(status: Status) -> Change:
    """What the status of a verdict against an accepted figure says of the figure."""
    if status is Status.IMPROVED:
        return Change.IMPROVED
    if status in (Status.FAIL, Status.INCOMPLETE):
        return Change.REGRESSED
    return Change.UNCHANGED if status is Status.PASS else Change.NEW


def figures_of(record: Record) -> tuple[FigureView, ...]:
    """All metrics of `record`, in the bench's order."""
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in record.verdicts:
        verdicts.setdefault(verdict.metric, []).append(verdict)
    return tuple(_figure(record, metric, verdicts.get(metric.value, ())) for metric in MetricName)


def _figure(record: Record, metric: MetricName, verdicts: Sequence[Verdict]) -> FigureView:
    value = metric_value(record, metric)
    decided = decisive(verdicts) if verdicts else None
    compared = next((v for v in verdicts if isinstance(v.baseline, Number)), None)
    before = compared.baseline if compared else None
    limits = [f"{v.direction} {shown(v.limit)}" for v in verdicts if v.limit is not None]
    return FigureView(
        metric=metric,
        value=None if isinstance(value, Absent) else value,
        absent=value.reason if isinstance(value, Absent) else "",
        unit=describe(metric).unit,
        could_be=range_in_unit(record, metric),
        before=before.value if isinstance(before, Number) else None,
        change=change_of(verdicts),
        limit="; ".join(dict.fromkeys(limits)),
        status=decided.status if decided else None,
        fails=any(verdict.fails for verdict in verdicts),
        reason=decided.reason if decided else "",
        cause=next((v.cause for v in verdicts if v.cause), ""),
        remark=decided.remark if decided else "",
    )


def relative_words(before: float, after: float, unit: str) -> str:
    """A change for people: `+2.5 %`; of a share, or from 0, the difference."""
    if unit and before:
        return f"{(after - before) / abs(before):+.1%}"
    return f"{after - before:+,.4g}"
