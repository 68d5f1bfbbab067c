"""A unit of the plan judged as its tests would: the same judgements, outcomes and names."""

from __future__ import annotations

import time
import traceback
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from bench.assembly.judging import judge_of
from bench.assembly.session import BenchSession
from bench.assembly.units import Unit
from bench.baselines.accepted import BaselineSet
from bench.core.logging import logger
from bench.core.processes.closing import Closing
from bench.core.text import xml_text
from bench.judging.judge import Judge
from bench.judging.outcomes import (
    JudgedOutcome,
    outcome_of_unmeasured,
    outcome_of_verdicts,
    said_or_failed,
)
from bench.judging.suites import SUITES, suite_of, test_name
from bench.plan.cell import Cell
from bench.plan.grid import Plan
from bench.records.cases import CaseOutcome
from bench.records.made import made_model
from bench.records.record import Record, UnmeasuredRecord, Verdict
from bench.records.run_directory import RunDirectory

__all__ = ["UnitJudges", "all_failed", "judge_alone", "judge_unit", "tests_of", "tests_of_unit"]

_LOG = logger(__name__)
_T = TypeVar("_T")
#: In the order of their files, so the first of them takes the time of the measurement.
_CELL_SUITES = sorted(SUITES)
_SWEEP, _ORDER = "mac_sweep", "variant_order"


class UnitJudges(Closing):
    """What judges units, one process or many; a context manager, for one thread."""

    @abstractmethod
    def judge(self, units: Iterable[Unit]) -> Iterator[list[CaseOutcome]]:
        """The outcomes of the tests of each unit, as they are known."""


def tests_of(plan: Plan) -> list[str]:
    """The names of all tests of `plan`, in the order in which pytest collects them."""
    cells = [cell.id for cell in plan.cells]
    subjects: dict[str, Sequence[str]] = dict.fromkeys(SUITES, cells)
    subjects[_SWEEP] = [sweep.id for sweep in plan.sweeps]
    subjects[_ORDER] = [order.id for order in plan.orders]
    return [test_name(suite, subject) for suite in sorted(subjects) for subject in subjects[suite]]


def tests_of_unit(unit: Unit) -> list[str]:
    """The names of the tests of `unit`."""
    return [
        *(test_name(suite, cell.id) for cell in unit.cells for suite in _CELL_SUITES),
        *(test_name(_SWEEP, sweep.id) for sweep in unit.sweeps),
        *(test_name(_ORDER, order.id) for order in unit.orders),
    ]


def judge_unit(unit: Unit, judge: Judge) -> Iterator[CaseOutcome]:
    """How each test of `unit` ends, in the order of `tests_of_unit`."""
    for cell in unit.cells:
        yield from _of_cell(cell, judge)
    for sweep in unit.sweeps:
        yield _of_group(_SWEEP, sweep.id, lambda g=sweep: judge.sweep(g).verdicts)  # type: ignore[misc]
    for order in unit.orders:
        yield _of_group(_ORDER, order.id, lambda g=order: judge.order(g).verdicts)  # type: ignore[misc]


def judge_alone(
    unit: Unit, session: BenchSession, measure: Callable[[Cell], Record], baselines: BaselineSet
) -> list[CaseOutcome]:
    """How each test of `unit` ends, by a judge of its own, over records that `measure` has.

    What a judge has read and worked out is of no use to the next unit. The cells of an order were
    judged before it, perhaps by another process, and their records are in the run.
    """
    judge = judge_of(session, measure, baselines)
    for order in unit.orders:
        judge.know(_judged(session.run, order.cells))
    return list(judge_unit(unit, judge))


def all_failed(unit: Unit, text: str, error: str) -> list[CaseOutcome]:
    """The outcomes of a unit that could not be judged because of `error`, in words `text`."""
    return [
        CaseOutcome(nodeid=name, outcome="failed", seconds=0, text=text, error=error)
        for name in tests_of_unit(unit)
    ]


def _judged(run: RunDirectory, cells: Iterable[Cell]) -> Iterator[Record]:
    for cell in cells:
        if run.has_record(cell.id):
            yield run.record(cell.id)


def _of_cell(cell: Cell, judge: Judge) -> Iterator[CaseOutcome]:
    start = time.monotonic()
    answer = _asked(cell.id, lambda: judge.cell(cell))
    seconds = time.monotonic() - start
    for suite in _CELL_SUITES:
        if isinstance(answer, JudgedOutcome):
            ended = answer
        elif isinstance(answer, UnmeasuredRecord):
            ended = outcome_of_unmeasured(answer)
        else:
            ended = outcome_of_verdicts([v for v in answer.verdicts if suite_of(v.metric) == suite])
        yield _case(suite, cell.id, ended, seconds)
        seconds = 0.0


def _of_group(suite: str, subject: str, ask: Callable[[], Sequence[Verdict]]) -> CaseOutcome:
    start = time.monotonic()
    answer = _asked(subject, ask)
    ended = answer if isinstance(answer, JudgedOutcome) else outcome_of_verdicts(answer)
    return _case(suite, subject, ended, time.monotonic() - start)


def _asked(subject: str, ask: Callable[[], _T]) -> _T | JudgedOutcome:
    try:
        return said_or_failed(subject, ask)
    except Exception:
        # A mistake of ours fails the tests of this subject, as in pytest, and no others.
        _LOG.exception("%s was not judged", subject)
        return JudgedOutcome("failed", traceback.format_exc())


def _case(suite: str, subject: str, ended: JudgedOutcome, seconds: float) -> CaseOutcome:
    name = test_name(suite, subject)
    # There are eight of a cell; whoever reads them from this process validates them.
    return made_model(
        CaseOutcome,
        {
            "nodeid": name,
            "outcome": ended.outcome,
            "seconds": seconds,
            "text": xml_text(ended.text),
            "error": ended.error,
        },
    )
