"""The tests of a run: which were selected, and how each ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from bench.core.schema import RecordModel

__all__ = ["Case", "CaseOutcome", "Outcomes", "Selection", "all_ended", "in_plan_order"]


class Case(RecordModel):
    """A test of the run: one suite's judgement of one subject."""

    suite: str
    #: Id of the cell, sweep or order.
    subject: str
    nodeid: str
    #: Ids of the cells it judges.
    cells: tuple[str, ...]


class Selection(RecordModel):
    """The selected tests; the reports have these and no others."""

    schema_version: Literal[1] = 1
    cases: tuple[Case, ...]


class CaseOutcome(RecordModel):
    """How a test ended, as pytest saw it."""

    nodeid: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    #: The text of a failure; its first line can stand alone.
    text: str = ""
    #: The kind of error, if the test itself did not come to an end (`WorkerDied`).
    error: str = ""


class Outcomes(RecordModel):
    """How several tests ended, on the way from one process to another."""

    cases: tuple[CaseOutcome, ...]


def all_ended(cases: Iterable[Case], outcomes: Iterable[CaseOutcome]) -> bool:
    """Whether every chosen test came to its end; one that was not run did not."""
    chosen = {case.nodeid for case in cases}
    return bool(chosen) and chosen <= {outcome.nodeid for outcome in outcomes}


def in_plan_order(cases: Iterable[Case], planned: Sequence[str]) -> tuple[Case, ...]:
    """`cases` as a run of the whole plan would have collected them.

    That is suite by suite, as their files are called, and in the order of the `planned` cells.
    """
    places = {cell: place for place, cell in enumerate(planned)}

    def key(case: Case) -> tuple[str, int]:
        first = min((places.get(cell, len(places)) for cell in case.cells), default=len(places))
        return case.nodeid.partition("[")[0], first

    return tuple(sorted(cases, key=key))
