"""What a run makes of a history that takes it, refuses it, or breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bench.history.series import Selection
from bench.history.store import HistoryStore
from bench.pytest_plugin.history import HistoryKeeper
from bench.records.cases import Case, CaseOutcome
from bench.records.cases import Selection as Chosen
from bench.records.run_directory import RunDirectory
from bench.report.ending import Ending
from bench.report.run_view import RunView, read_run
from tests.support.history import CELL, manifest
from tests.support.records import dense_layer_record

OK, FAILED = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED
TESTS = ("one", "two")


@dataclass
class Session:
    exitstatus: int = OK


@dataclass
class Terminal:
    lines: list[str] = field(default_factory=list)

    def write_line(self, line: str) -> None:
        self.lines.append(line)


def make_run(path: Path, ended: Sequence[str] = TESTS) -> RunDirectory:
    run = RunDirectory.create(path, manifest(1))
    cases = [Case(suite="s", subject=CELL, nodeid=name, cells=(CELL,)) for name in TESTS]
    run.write_selection(Chosen(cases=tuple(cases)))
    run.write_record(dense_layer_record("base"))
    for name in ended:
        run.append_outcome(CaseOutcome(nodeid=name, outcome="passed", seconds=1))
    return run


def ended(
    run: RunDirectory, store: HistoryStore, *, required: bool, status: int = OK, view: Any = None
) -> tuple[int, str]:
    """Exit status and last words of a run."""
    keeper = HistoryKeeper(store, run, view or (lambda: read_run(run)), required=required)
    session, terminal = Session(status), Terminal()
    keeper.pytest_sessionfinish(cast(pytest.Session, session))
    keeper.pytest_terminal_summary(terminal)
    return session.exitstatus, "\n".join(terminal.lines)


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    return HistoryStore(tmp_path / "history.sqlite")


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("status", [OK, FAILED, pytest.ExitCode.INTERRUPTED])
def test_a_run_is_added_whatever_came_of_it(
    tmp_path: Path, store: HistoryStore, status: int, required: bool
) -> None:
    run = make_run(tmp_path / "run")
    told = ended(run, store, required=required, status=status)
    assert told == (status, f"bench: history {store.path}: 1 run; this one with 1 cell")
    [summary] = store.runs(Selection())
    assert (summary.name, summary.complete, summary.measured_cells) == ("run", True, 1)


def test_a_run_whose_tests_did_not_all_end_is_incomplete(
    tmp_path: Path, store: HistoryStore
) -> None:
    ended(make_run(tmp_path / "run", ended=TESTS[:1]), store, required=False)
    assert [run.complete for run in store.runs(Selection())] == [False]


@pytest.mark.parametrize(
    ("required", "status", "left"),
    [
        (False, OK, OK),
        (True, OK, Ending.INFRASTRUCTURE),
        (True, pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERRUPTED),
    ],
)
def test_a_run_fails_for_its_history_only_where_it_was_asked_for(
    tmp_path: Path, store: HistoryStore, required: bool, status: int, left: int
) -> None:
    store.path.write_bytes(b"something else")
    run = make_run(tmp_path / "run")
    found, words = ended(run, store, required=required, status=status)
    assert found == left
    assert words.startswith(f"bench: the HISTORY lacks this run: {store.path}: is damaged")
    assert words.endswith(f"  -> then add it: bench history add {run.path}")


def test_a_run_that_cannot_be_read_is_not_added_as_if_it_were_empty(
    tmp_path: Path, store: HistoryStore
) -> None:
    found, words = ended(make_run(tmp_path / "run"), store, required=True, view=RunView.empty)
    assert found == Ending.INFRASTRUCTURE
    assert "lacks this run: its files could not be read" in words
    assert not store.path.exists()


def test_a_mistake_of_ours_costs_no_report(tmp_path: Path, store: HistoryStore) -> None:
    def broken() -> RunView:
        raise MemoryError("no more")

    run = make_run(tmp_path / "run")
    found, words = ended(run, store, required=False, view=broken)
    assert found == OK
    assert "lacks this run: MemoryError: no more; the traceback is in" in words
    assert "MemoryError" in run.log("controller").read_text(encoding="utf-8")
