"""One view of a run for all reports: its tests, each with its judgement, figures and place.

Every selected test is here, under the name that it has in every run, whatever happened to it. The
code is pure: it reads records and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from bench.judging.suites import SUITES, suite_of
from bench.judging.verdicts import decisive
from bench.records.cases import Case, CaseOutcome
from bench.records.reading import Unreadable
from bench.records.record import Record, Status, SweepRecord, UnmeasuredRecord, Verdict
from bench.records.run import OrderRecord

__all__ = ["CaseView", "Findings", "case_views", "stray_views"]

_UNREADABLE = "UnreadableRecord"


@dataclass(frozen=True)
class Findings:
    """The findings of a run, by the ids of their subjects."""

    records: Mapping[str, Record]
    unmeasured: Mapping[str, UnmeasuredRecord]
    sweeps: Mapping[str, SweepRecord]
    orders: Mapping[str, OrderRecord]
    #: Files that cannot be read, by the subject they are named after.
    unreadable: Mapping[str, Unreadable]

    @cached_property
    def verdicts(self) -> Mapping[tuple[str, str], tuple[Verdict, ...]]:
        """Cell and suite -> the verdicts of its metrics."""
        found: dict[tuple[str, str], list[Verdict]] = {}
        for subject, record in self.records.items():
            for verdict in record.verdicts:
                found.setdefault((subject, suite_of(verdict.metric)), []).append(verdict)
        return {which: tuple(verdicts) for which, verdicts in found.items()}

    @classmethod
    def of(
        cls,
        records: Iterable[Record],
        unmeasured: Iterable[UnmeasuredRecord],
        sweeps: Iterable[SweepRecord],
        orders: Iterable[OrderRecord],
        unreadable: Iterable[Unreadable] = (),
    ) -> Findings:
        """The findings in a run directory."""
        return cls(
            {record.cell.id: record for record in records},
            {record.cell.id: record for record in unmeasured},
            {sweep.id: sweep for sweep in sweeps},
            {order.id: order for order in orders},
            {one.subject: one for one in unreadable},
        )


@dataclass(frozen=True, slots=True)
class CaseView:
    """One test as reports show it."""

    case: Case
    status: Status
    #: The decisive finding, in brief: `npu_cycles 92,654 cycles, must be at most 90,000 cycles`.
    headline: str
    #: The whole story: a line per verdict, or why there is none.
    text: str
    #: The kind of error if the case could not be judged; otherwise empty.
    error: str = ""
    #: The configuration's key that decided; empty if none did.
    key: str = ""
    seconds: float = 0
    verdicts: tuple[Verdict, ...] = field(default=())
    #: Whether it makes the run fail.
    fails: bool = False

    @property
    def name(self) -> str:
        """Unique in the run, and the same in every run."""
        return f"{self.case.subject}:{self.case.suite}"


def case_views(
    cases: Sequence[Case], findings: Findings, outcomes: Sequence[CaseOutcome]
) -> list[CaseView]:
    """A view of each of `cases`, in their order."""
    ended: dict[str, CaseOutcome] = {}
    for outcome in outcomes:
        # If a worker dies after its test passed, the test is reported twice; the failure counts.
        before = ended.get(outcome.nodeid)
        if before is None or before.outcome != "failed":
            ended[outcome.nodeid] = outcome
    return [_view(case, findings, ended.get(case.nodeid)) for case in cases]


def _view(case: Case, findings: Findings, outcome: CaseOutcome | None) -> CaseView:
    """The view that fits the test's outcome: a failed test never looks better than it is."""
    seconds = outcome.seconds if outcome else 0
    failed = outcome is not None and outcome.outcome == "failed"
    for view in (_judged(case, findings, seconds), _not_measured(case, findings, seconds)):
        if view is not None and (view.fails or not failed):
            return view
    if failed:
        assert outcome is not None
        return _unjudged(
            case, outcome.error or "TestFailed", outcome.text or "the test failed", seconds
        )
    if case.subject in findings.unreadable:
        return _unjudged(case, _UNREADABLE, str(findings.unreadable[case.subject]), seconds)
    if outcome is not None:
        return _unjudged(case, "NoRecord", "its record is not in the run's directory", seconds)
    return _unjudged(case, "NotJudged", "the run ended before this was judged", seconds)


def stray_views(views: Iterable[CaseView], unreadable: Iterable[Unreadable]) -> Iterator[CaseView]:
    """A case of its own for each file that cannot be read and is not told as the error of a test.

    No report may be without it, as nobody knows what stood there.
    """
    told = {view.text for view in views if view.error == _UNREADABLE}
    for one in unreadable:
        if str(one) not in told:
            case = Case(suite="unreadable", subject=one.name, nodeid=one.name, cells=())
            yield _unjudged(case, _UNREADABLE, str(one), 0)


def _judged(case: Case, findings: Findings, seconds: float) -> CaseView | None:
    verdicts = _verdicts(case, findings)
    if not verdicts:
        return None
    decided = decisive(verdicts)
    return CaseView(
        case,
        decided.status,
        decided.finding,
        "\n".join(_told(verdict) for verdict in verdicts),
        error="Incomplete" if decided.status is Status.INCOMPLETE else "",
        key=decided.key if decided.fails else "",
        seconds=seconds,
        verdicts=verdicts,
        fails=decided.fails,
    )


def _not_measured(case: Case, findings: Findings, seconds: float) -> CaseView | None:
    found = [findings.unmeasured[cell] for cell in case.cells if cell in findings.unmeasured]
    if not found:
        return None
    # If there are several cells, the one that failed decides.
    one = min(found, key=lambda record: (not record.fails, record.status is Status.UNAVAILABLE))
    text = f"{one.cell.id}: {one.reason}"
    if one.cure:
        text += f"\n  -> {one.cure}"
    headline = one.reason.splitlines()[0] if one.reason else one.error
    return CaseView(case, one.status, headline, text, one.error, seconds=seconds, fails=one.fails)


def _told(verdict: Verdict) -> str:
    """A verdict in one line; the command to reproduce it is added only if something is wrong."""
    if verdict.fails:
        return verdict.line
    return f"{verdict.finding} [{verdict.status.value}: {verdict.reason}]"


def _unjudged(case: Case, error: str, text: str, seconds: float) -> CaseView:
    first = text.strip().splitlines()[0] if text.strip() else error
    return CaseView(case, Status.INCOMPLETE, first, text, error, seconds=seconds, fails=True)


def _verdicts(case: Case, findings: Findings) -> tuple[Verdict, ...]:
    if case.suite in SUITES:
        return findings.verdicts.get((case.subject, case.suite), ())
    sweep, order = findings.sweeps.get(case.subject), findings.orders.get(case.subject)
    if case.suite == "mac_sweep" and sweep is not None:
        return sweep.verdicts
    if case.suite == "variant_order" and order is not None:
        return order.verdicts
    return ()
