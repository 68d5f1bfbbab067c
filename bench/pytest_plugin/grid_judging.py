"""`bench run --judge cells`: what the tests would judge is judged without making a test of it.

pytest still sets the run up and ends it, so its reports, its history and its exit status are those
of any run. Instead of its loop over tests, others judge the plan, cell by cell: a pool of
processes, or this one with the records of a cluster.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from bench.assembly.session import BenchSession
from bench.assembly.unit_judging import UnitJudges, tests_of
from bench.assembly.unit_pool import UnitPool
from bench.assembly.units import cell_units, order_units
from bench.core.processes.garbage import few_collections
from bench.pytest_plugin.cases import CaseCollector
from bench.pytest_plugin.cluster import units_on
from bench.records.cases import CaseOutcome

__all__ = ["BY_CELLS", "PROCESSES", "GridJudging", "grid_judging", "refused_options"]

#: The value of `--bench-judge`.
BY_CELLS = "cells"
#: How many processes judge without tests: `auto` or a number.
PROCESSES = pytest.StashKey[str | int]()
#: Seconds between two lines of progress.
_TOLD_S = 5.0


def refused_options(config: pytest.Config) -> str:
    """What was asked for and needs a test for each figure; empty if nothing was."""
    option = config.option
    asked = {
        "tests by name": not option.bench_packaged or option.file_or_dir,
        "-k": option.keyword,
        "-m": option.markexpr,
        "--deselect": option.deselect,
        "--lf or --ff": getattr(option, "lf", False) or getattr(option, "failedfirst", False),
        "--junitxml": option.xmlpath,
        "--pdb": option.usepdb,
    }
    return ", ".join(name for name, given in asked.items() if given)


class GridJudging:
    """Registered in the only process of pytest."""

    def __init__(
        self, session: BenchSession, cases: CaseCollector, judges: UnitJudges, where: str
    ) -> None:
        """`where` tells people who judges: "in 2 processes"."""
        self._plan = session.plan
        self._judges = judges
        self._cases = cases
        self._where = where
        self._tests = 0
        #: Each text of a report once: the skips of a reason have the same.
        self._texts: dict[Any, Any] = {}
        self._live: Any = None
        self._reporter: Any = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        """The tests are known from the plan; no item is made of any."""
        manager = session.config.pluginmanager
        self._reporter = manager.get_plugin("terminalreporter")
        self._live = manager.get_plugin("bench-live")
        names = tests_of(self._plan)
        if names:
            self._cases.choose(names)
        self._tests = session.testscollected = len(names)
        if self._live is not None:
            self._live.collected(names)
        elif self._reporter is not None:
            self._reporter.write_line(
                f"bench: {len(names):,} tests of {len(self._plan.cells):,} cells, judged cell by "
                f"cell {self._where}"
            )
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judge the plan."""
        ended, told = 0, time.monotonic()
        with few_collections(), self._judges as judges:
            # Orders need their cells judged.
            for units in (cell_units(self._plan), order_units(self._plan)):
                for outcomes in judges.judge(units):
                    self._take(outcomes, session)
                    ended += len(outcomes)
                    if time.monotonic() - told >= _TOLD_S:
                        self._tell(f"{ended:,} of {self._tests:,} tests judged")
                        told = time.monotonic()
        return True

    def _take(self, outcomes: list[CaseOutcome], session: pytest.Session) -> None:
        self._cases.ended(*map(_kept, outcomes))
        failed = [one for one in outcomes if one.outcome == "failed"]
        session.testsfailed += len(failed)
        if self._live is not None:
            for one in outcomes:
                self._live.heard(one.nodeid, failed=one.outcome == "failed", ended=True)
        if self._reporter is not None:
            for outcome in ("passed", "failed", "skipped"):
                reports = [self._report(one) for one in outcomes if one.outcome == outcome]
                if reports:
                    self._reporter.stats.setdefault(outcome, []).extend(reports)
        most = session.config.option.maxfail
        if most and session.testsfailed >= most:
            raise session.Failed(f"stopping after {session.testsfailed} failures")

    def _report(self, one: CaseOutcome) -> pytest.TestReport:
        """What pytest's summary shows of a test."""
        kept = self._texts.setdefault
        path, _, name = one.nodeid.partition("::")
        path = kept(path, path)
        words: Any = None
        if one.outcome == "failed":
            words = one.text
        elif one.outcome == "skipped":
            words = kept((path, one.text), (path, None, one.text))
        return pytest.TestReport(
            nodeid=one.nodeid,
            location=(path, None, name),
            keywords={},
            outcome=one.outcome,
            longrepr=words,
            when="call",
            duration=one.seconds,
        )

    def _tell(self, line: str) -> None:
        if self._live is None and self._reporter is not None:
            self._reporter.write_line(f"bench: {line}")


def grid_judging(config: pytest.Config, session: BenchSession, cases: CaseCollector) -> GridJudging:
    """The loop of a run by cells: over records of a cluster, if one is named."""
    place = config.option.bench_cluster
    if place is not None:
        where = f"with the records that the cluster {place} makes"
        return GridJudging(session, cases, units_on(session, place), where)
    count = _processes(config)
    where = f"in {count} process{'' if count == 1 else 'es'}"
    return GridJudging(session, cases, UnitPool(session, count), where)


def _processes(config: pytest.Config) -> int:
    """How many processes judge without tests: as many as xdist would have workers."""
    wanted = config.stash.get(PROCESSES, 1)
    if isinstance(wanted, int):
        return max(1, wanted)
    config.option.numprocesses = wanted
    found: int = config.hook.pytest_xdist_auto_num_workers(config=config)
    config.option.numprocesses = 0
    return found


def _kept(one: CaseOutcome) -> CaseOutcome:
    """What is noted of a test: words about what failed; those about a skip are in the records."""
    return one if one.outcome == "failed" or not one.text else one.model_copy(update={"text": ""})
