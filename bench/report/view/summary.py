"""A run in counts, and its worst tests: what every report says first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.records.figures import Number
from bench.records.record import Status, Verdict
from bench.report.cases import CaseView
from bench.report.view.cells import CellView, severity
from bench.report.view.figures import Change, change_by_status, relative_words

__all__ = [
    "Because",
    "Regression",
    "Skips",
    "Summary",
    "by_cause",
    "regressions",
    "skips",
    "summary_of",
    "worst_cases",
]

_CASES = {Status.FAIL: 0, Status.INCOMPLETE: 1}


@dataclass(frozen=True)
class Summary:
    """The counts of a run."""

    planned: int
    measured: int
    unavailable: int
    #: Planned cells that could not be measured although they should have been.
    incomplete: int
    #: Tests, and of them those that make the run fail.
    tests: int
    failed: int
    skipped: int
    #: Cells by what became of their accepted figures.
    changes: dict[Change, int]
    #: Verdicts by status.
    verdicts: dict[Status, int]

    @property
    def green(self) -> bool:
        """Whether nothing failed, and something was measured."""
        return not self.failed and self.measured > 0

    @property
    def passed(self) -> int:
        """Tests that passed."""
        return self.tests - self.failed - self.skipped


def summary_of(cells: Sequence[CellView], cases: Sequence[CaseView]) -> Summary:
    """The counts over all cells and tests of a run."""
    measured = sum(cell.record is not None for cell in cells)
    unavailable = sum(c.record is None and c.status is Status.UNAVAILABLE for c in cells)
    failed = sum(case.fails for case in cases)
    passing = (Status.PASS, Status.IMPROVED)
    verdicts = Counter(verdict.status for case in cases for verdict in case.verdicts)
    changes = Counter(cell.change for cell in cells if cell.record is not None)
    return Summary(
        planned=len(cells),
        measured=measured,
        unavailable=unavailable,
        incomplete=len(cells) - measured - unavailable,
        tests=len(cases),
        failed=failed,
        skipped=sum(not case.fails and case.status not in passing for case in cases),
        changes={change: changes[change] for change in Change},
        verdicts={status: verdicts[status] for status in Status if verdicts[status]},
    )


def worst_cases(cases: Iterable[CaseView]) -> list[CaseView]:
    """The tests that make the run fail: what was judged first, the largest excess first."""

    def key(case: CaseView) -> tuple[int, float]:
        excess = max((severity(v) for v in case.verdicts if v.fails), default=0.0)
        return (_CASES.get(case.status, 2), -excess)

    return sorted((case for case in cases if case.fails), key=key)


@dataclass(frozen=True)
class Skips:
    """Figures or cells that were not judged, for one reason."""

    status: Status
    what: str
    reason: str
    count: int


def skips(cases: Iterable[CaseView]) -> list[Skips]:
    """What was not judged and does not fail, by reason; the most frequent first."""
    counts: Counter[tuple[Status, str, str]] = Counter()
    for case in cases:
        for verdict in case.verdicts:
            if not verdict.fails and verdict.status in (Status.UNAVAILABLE, Status.NO_BASELINE):
                counts[verdict.status, verdict.metric, verdict.reason] += 1
        if not case.verdicts and not case.fails:
            counts[case.status, case.case.suite, case.headline] += 1
    return [Skips(*what, count) for what, count in counts.most_common()]


@dataclass(frozen=True)
class Regression:
    """Figures of one metric that changed for one cause."""

    change: Change
    metric: str
    #: Empty if nothing recorded differs.
    cause: str
    #: The ids of the cells, the largest change first.
    cells: tuple[str, ...]
    #: The largest change as a share of the accepted figure; None where there is no such share.
    largest: float | None
    #: The largest, in words: what was measured, and what it was.
    finding: str
    #: Why it counts, since when the accepted figure stands, and which layers changed.
    reason: str
    #: The largest by how much: `+2.5%`; empty if one of the two is no number.
    moved: str
    #: The day when the figure before the largest was accepted (`2026-11-29`); empty if not known.
    accepted: str


def regressions(cells: Iterable[CellView], *changes: Change) -> list[Regression]:
    """What changed against the accepted figures, by metric and cause; the largest change first."""
    groups: dict[tuple[Change, str, str], list[tuple[float, CellView, Verdict]]] = {}
    for cell in cells:
        for verdict in cell.record.verdicts if cell.record else ():
            if verdict.baseline is None:
                continue
            change = change_by_status(verdict.status)
            if change in changes:
                group = groups.setdefault((change, verdict.metric, verdict.cause), [])
                group.append((severity(verdict), cell, verdict))
    found = []
    for (change, metric, cause), members in groups.items():
        members.sort(key=lambda member: -member[0])
        largest, _, verdict = members[0]
        found.append(
            Regression(
                change,
                metric,
                cause,
                tuple(cell.id for _, cell, _ in members),
                largest if largest != float("inf") else None,
                verdict.finding,
                verdict.reason,
                _moved(verdict),
                verdict.accepted,
            )
        )
    order = list(Change)
    return sorted(
        found,
        key=lambda one: (order.index(one.change), -(one.largest or 0), -len(one.cells)),
    )


def _moved(verdict: Verdict) -> str:
    now, before = verdict.measured, verdict.baseline
    if not isinstance(now, Number) or not isinstance(before, Number):
        return ""
    return relative_words(before.value, now.value, now.unit)


@dataclass(frozen=True)
class Because:
    """What one cause changed, for better or for worse."""

    change: Change
    #: Empty if nothing recorded differs.
    cause: str
    #: How many cells have such a figure.
    cells: int
    #: By metric; the largest change first.
    groups: tuple[Regression, ...]


def by_cause(groups: Iterable[Regression]) -> list[Because]:
    """The changes by what they come from, in the order of their largest."""
    found: dict[tuple[Change, str], list[Regression]] = {}
    for one in groups:
        found.setdefault((one.change, one.cause), []).append(one)
    return [
        Because(change, cause, len({id_ for one in ones for id_ in one.cells}), tuple(ones))
        for (change, cause), ones in found.items()
    ]
