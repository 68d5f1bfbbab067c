"""The tests of a run and how each ended; the controller notes this for the reports.

The memory of a worker is lost when it dies, so nothing here depends on it. The list of tests is
written when they have been collected, and each outcome when it is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from bench.assembly.session import BenchSession
from bench.core.errors import BenchError
from bench.core.text import xml_text
from bench.judging.suites import GROUP_SUITES, SUITES
from bench.plan.grid import Plan
from bench.pytest_plugin.check import ERROR_PROPERTY
from bench.records.cases import Case, CaseOutcome, Selection
from bench.records.made import made_model
from bench.records.record import CellIdentity, Status, UnmeasuredRecord

__all__ = ["CaseCollector"]

_TEST = re.compile(r"test_(?P<suite>\w+)\[(?P<subject>.+)\]$")


class CaseCollector:
    """Registered in the controller only."""

    def __init__(self, session: BenchSession) -> None:
        self._session = session
        self._run = session.run
        self._judged = _judged_by(session.plan)
        self._chosen: frozenset[str] | None = None
        #: Test -> seconds, outcome and words so far: a test has three phases.
        self._so_far: dict[str, CaseOutcome] = {}
        #: Why something could not be noted; empty if everything was.
        self.problem = ""
        #: Whether a test failed that judges nothing of the plan.
        self.others_failed = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without workers: these are the tests."""
        if session.items:
            self.choose(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """With workers: all collect the same tests, so the first is enough."""
        if self._chosen is None:
            self.choose(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        if self._chosen is None or report.nodeid not in self._chosen:
            self.others_failed |= report.failed
            return
        before = self._so_far.get(report.nodeid)
        now = _joined(before, report)
        self._so_far[report.nodeid] = now
        # A worker that died has no phase (`???`): nothing more will be known about the test.
        if report.when not in ("setup", "call"):
            self.ended(now)

    def ended(self, *outcomes: CaseOutcome) -> None:
        """These tests have come to their end."""
        for outcome in outcomes:
            self._so_far.pop(outcome.nodeid, None)
        self._note(lambda: self._run.append_outcome(*outcomes))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """A worker has gone. The cell it died on is not measured by another."""
        if error is None:
            return
        worker = node.gateway.id
        cell_id = self._run.died_on(worker)
        cell = next((c for c in self._session.plan.cells if c.id == cell_id), None)
        if cell is None:
            return
        found = UnmeasuredRecord(
            cell=CellIdentity.of(cell),
            status=Status.INCOMPLETE,
            error="WorkerDied",
            reason=f"the process that measured it died ({worker}: {error})",
            cure="it is not measured again in this run; perhaps it was killed or out of memory",
        )
        self._note(lambda: self._run.write_unmeasured(found))

    def choose(self, nodeids: Iterable[str]) -> None:
        """These are the tests of the run."""
        cases = [case for nodeid in nodeids if (case := self._case(nodeid)) is not None]
        self._chosen = frozenset(case.nodeid for case in cases)
        self._note(lambda: self._run.write_selection(Selection(cases=tuple(cases))))

    def _note(self, write: Callable[[], object]) -> None:
        """Write. A full disk costs the note, which is reported at the end, but not the run."""
        try:
            write()
        except BenchError as error:
            self.problem = self.problem or error.what

    def _case(self, nodeid: str) -> Case | None:
        """The case of a test; None for a test that judges nothing of the plan."""
        match = _TEST.search(nodeid)
        if match is None:
            return None
        suite, subject = match["suite"], match["subject"]
        cells = self._judged.get((suite in GROUP_SUITES, subject), ())
        known = suite in SUITES or suite in GROUP_SUITES
        if not known or not cells:
            return None
        # There are eight of a cell. A directory may have any name; the rest is from the plan.
        named = {"suite": suite, "subject": subject, "nodeid": xml_text(nodeid), "cells": cells}
        return made_model(Case, named)


def _judged_by(plan: Plan) -> dict[tuple[bool, str], tuple[str, ...]]:
    """Whether it is a group, and its id -> the ids of the cells that are judged."""
    groups = (*plan.sweeps, *plan.orders)
    return {
        **{(False, cell.id): (cell.id,) for cell in plan.cells},
        **{(True, group.id): tuple(cell.id for cell in group.cells) for group in groups},
    }


def _joined(before: CaseOutcome | None, report: pytest.TestReport) -> CaseOutcome:
    """What is known about a test after one more phase: the worst outcome and the total time."""
    outcomes = {report.outcome} | ({before.outcome} if before else set())
    words = (before.text if before else "") or (report.longreprtext if report.failed else "")
    return CaseOutcome(
        nodeid=report.nodeid,
        outcome=next(o for o in ("failed", "skipped", "passed") if o in outcomes),
        seconds=(before.seconds if before else 0) + getattr(report, "duration", 0),
        text=words,
        error=(before.error if before else "") or _error(report),
    )


def _error(report: pytest.TestReport) -> str:
    """The kind of error of a phase that says nothing about the figures; empty if there is none."""
    # Of a worker that died there is no phase, only xdist's word for it.
    if report.when not in ("setup", "call", "teardown"):
        return "WorkerDied"
    found = dict(report.user_properties).get(ERROR_PROPERTY, "") if report.failed else ""
    return str(found)
