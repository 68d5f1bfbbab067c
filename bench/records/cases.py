"""The tests of a run: which were selected, and how each ended."""

from __future__ import annotations

from typing import Literal

from bench.core.schema import RecordModel

__all__ = ["Case", "CaseOutcome", "Selection"]


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
