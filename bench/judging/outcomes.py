"""From verdicts to the outcome of a test: what was judged passes or fails, all else is a skip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from bench.core.errors import BenchError
from bench.core.text import one_line
from bench.judging.verdicts import decisive
from bench.records.figures import shown
from bench.records.record import Status, UnmeasuredRecord, Verdict

__all__ = ["JudgedOutcome", "outcome_of_unmeasured", "outcome_of_verdicts", "said_or_failed"]

_T = TypeVar("_T")

_NO_BASELINE = (
    "NO_BASELINE: neither a limit nor an accepted figure says what it should be; "
    "`bench baseline accept` accepts what this run measured"
)


@dataclass(frozen=True)
class JudgedOutcome:
    """How a test ends, and why; a test that passes needs no words."""

    outcome: Literal["passed", "failed", "skipped"]
    text: str = ""
    #: The kind of error of a test that was not judged, and no fault of what it tests.
    error: str = ""


def outcome_of_verdicts(verdicts: Sequence[Verdict]) -> JudgedOutcome:
    """The outcome of a test that judged `verdicts`."""
    if not verdicts:
        return JudgedOutcome("failed", "nothing was judged")
    decided = decisive(verdicts)
    if decided.fails:
        return JudgedOutcome("failed", "\n".join(v.line for v in verdicts if v.fails))
    # Of a skip without the names of cells, so that pytest tells all that are alike in one line.
    if decided.status is Status.NO_BASELINE:
        return JudgedOutcome("skipped", _NO_BASELINE)
    if decided.status is Status.UNAVAILABLE:
        told = [
            f"{v.status.value.upper()}: {v.metric} {shown(v.measured)}: {v.reason}"
            for v in verdicts
        ]
        return JudgedOutcome("skipped", one_line("; ".join(told)))
    return JudgedOutcome("passed")


def outcome_of_unmeasured(record: UnmeasuredRecord) -> JudgedOutcome:
    """The outcome of a test of a cell that could not be measured."""
    cure = f"\n  -> {record.cure}" if record.cure else ""
    text = f"{record.error}: {record.reason}{cure}"
    if record.fails:
        return JudgedOutcome("failed", f"{record.cell.id}: could not be measured: {text}")
    return JudgedOutcome("skipped", f"UNAVAILABLE: {text}")


def said_or_failed(subject: str, ask: Callable[[], _T]) -> _T | JudgedOutcome:
    """The judge's answer. If the judge cannot store it, the test fails with the error."""
    try:
        return ask()
    except BenchError as error:
        return JudgedOutcome("failed", f"{subject}: could not be measured: {error}", "NotStored")
