"""Every planned cell of a run, whatever became of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.judging.verdicts import worst
from bench.plan.metrics import MetricName
from bench.records.record import CellIdentity, Record, Status, UnmeasuredRecord, Verdict
from bench.report.cases import CaseView
from bench.report.view.figures import Change, FigureView, change_of, figures_of

__all__ = ["CellView", "cell_views", "severity", "worst_first"]

#: How pressing a status is, the most pressing first.
_PRESSING = (
    Status.FAIL,
    Status.INCOMPLETE,
    Status.UNAVAILABLE,
    Status.NO_BASELINE,
    Status.IMPROVED,
    Status.PASS,
)


@dataclass(frozen=True)
class CellView:
    """One planned cell."""

    id: str
    #: Where it is in the grid; None if nothing of it was written.
    identity: CellIdentity | None
    record: Record | None
    unmeasured: UnmeasuredRecord | None
    #: Of its worst verdict, or why it has none.
    status: Status
    #: Whether it makes the run fail.
    fails: bool
    #: What decided, in one line.
    headline: str
    #: What became of its accepted figures.
    change: Change

    @cached_property
    def figures(self) -> Mapping[MetricName, FigureView]:
        """All its metrics; nothing if it was not measured."""
        if self.record is None:
            return {}
        return {figure.metric: figure for figure in figures_of(self.record)}

    def value(self, metric: MetricName) -> float | None:
        """A figure of it; None if there is none."""
        figure = self.figures.get(metric)
        return None if figure is None else figure.value


def cell_views(
    planned: Sequence[str],
    records: Mapping[str, Record],
    unmeasured: Mapping[str, UnmeasuredRecord],
    cases: Iterable[CaseView],
) -> tuple[CellView, ...]:
    """A view of each planned cell, in the order of the plan."""
    failing: dict[str, CaseView] = {}
    for case in cases:
        if case.fails and len(case.case.cells) == 1:
            failing.setdefault(case.case.subject, case)
    return tuple(
        _view(cell, records.get(cell), unmeasured.get(cell), failing.get(cell)) for cell in planned
    )


def _view(
    cell: str,
    record: Record | None,
    unmeasured: UnmeasuredRecord | None,
    failing: CaseView | None,
) -> CellView:
    if record is not None:
        verdicts = record.verdicts
        decided = worst(verdicts) if verdicts else None
        status = decided.status if decided else Status.NO_BASELINE
        headline = decided.finding if decided else "not judged"
        if decided is not None and not decided.fails:
            status, headline = _calm(verdicts), _counted(verdicts)
        fails = any(verdict.fails for verdict in verdicts)
        if failing is not None and not fails:
            # A test that failed on something else than its verdicts, such as a dead worker.
            status, headline, fails = failing.status, failing.headline, True
        return CellView(
            cell, record.cell, record, None, status, fails, headline, change_of(verdicts)
        )
    if unmeasured is not None:
        return CellView(
            cell,
            unmeasured.cell,
            None,
            unmeasured,
            unmeasured.status,
            unmeasured.fails,
            unmeasured.reason or unmeasured.error,
            Change.NEW,
        )
    if failing is not None:
        return CellView(cell, None, None, None, failing.status, True, failing.headline, Change.NEW)
    told = "it was planned, and not measured"
    return CellView(cell, None, None, None, Status.INCOMPLETE, True, told, Change.NEW)


def _calm(verdicts: Sequence[Verdict]) -> Status:
    """The status of a cell without a failure: what was not judged matters only if nothing was."""
    found = {verdict.status for verdict in verdicts}
    for status in (Status.IMPROVED, Status.PASS, Status.NO_BASELINE, Status.UNAVAILABLE):
        if status in found:
            return status
    return Status.INCOMPLETE


def _counted(verdicts: Sequence[Verdict]) -> str:
    """The verdicts of a cell that does not fail."""
    counts = Counter(verdict.status for verdict in verdicts)
    words = [f"{counts[one]} {one.value.replace('_', ' ')}" for one in Status if counts[one]]
    return f"verdicts: {', '.join(words)}"


def severity(verdict: Verdict) -> float:
    """How far a figure is beyond what it should be, as a share; infinite where it is missing."""
    measured = getattr(verdict.measured, "value", None)
    if not isinstance(measured, float):
        return math.inf
    for wanted in (verdict.baseline, verdict.limit):
        bound = getattr(wanted, "value", None)
        if isinstance(bound, float):
            return abs(measured - bound) / abs(bound) if bound else math.inf
    return 0.0


def worst_first(cells: Iterable[CellView]) -> list[CellView]:
    """Failing cells first, then by status; of each the largest excess first."""

    def key(cell: CellView) -> tuple[bool, int, float]:
        verdicts = cell.record.verdicts if cell.record else ()
        excess = max((severity(v) for v in verdicts if v.fails), default=0.0)
        return (not cell.fails, _PRESSING.index(cell.status), -excess)

    return sorted(cells, key=key)
