"""Live progress: what is counted, what is told, and lines that never break a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bench.measuring.progress import ProgressEvent
from bench.pytest_plugin.board import ProgressBoard, clock
from bench.pytest_plugin.live import drawn

CELLS = ("a", "b", "c")
TESTS = [f"t.py::test_{suite}[{cell}]" for cell in CELLS for suite in ("x", "y")]


def event(kind: str, task: str, state: str, pid: int = 1, text: str = "") -> ProgressEvent:
    return ProgressEvent(kind, task, state, text, 0.0, pid)  # type: ignore[arg-type]


@pytest.fixture
def board() -> ProgressBoard:
    made = ProgressBoard(CELLS, now=0.0)
    made.collected(TESTS)
    made.collected(["t.py::test_x[of another worker]"])
    return made


def test_a_cell_is_done_when_all_its_tests_are(board: ProgressBoard) -> None:
    board.take([event("measure", "a", "started")], 1.0)
    board.ended(TESTS[0], failed=False)
    assert "cells 0 of 3, 1 running, tests 1 of 6" in board.shown(2.0).headline
    board.take([event("measure", "a", "done")], 3.0)
    board.ended(TESTS[1], failed=True)
    shown = board.shown(4.0)
    assert "cells 1 of 3, tests 2 of 6, 1 FAILED, 0:04 so far" in shown.headline
    assert shown.share == pytest.approx(2 / 6)


def test_seats_of_targets_are_told() -> None:
    """A board measures one batch at a time; FVPs take a seat each; the simulator has no limit."""
    board = ProgressBoard(("x-fvp", "y-fvp", "z-sim"), 0.0, {"fvp": 4, "mps3": 1})
    assert "fvp 0 of 4 seats, mps3 0 of 1 seats" in board.shown(0.0).headline
    started = ("x-fvp", "y-fvp", "z-sim", "mps3, 8 cells")
    board.take([event("measure", task, "started") for task in started], 1.0)
    assert "fvp 2 of 4 seats, mps3 1 of 1 seats" in board.shown(1.0).headline


def test_a_cell_without_work_came_from_the_cache(board: ProgressBoard) -> None:
    for nodeid in TESTS[:2]:
        board.ended(nodeid, failed=False)
    assert "1 cached" in board.shown(1.0).headline


def test_what_is_left_is_guessed_from_what_is_done(board: ProgressBoard) -> None:
    assert "left" not in board.shown(60.0).headline
    for nodeid in TESTS[:2]:
        board.ended(nodeid, failed=False)
    assert "about 2:00 left" in board.shown(60.0).headline


def test_stages_and_devices_are_told(board: ProgressBoard) -> None:
    board.take(
        [
            event("train", "w", "done"),
            event("train", "v", "started"),
            event("device", "mps3", "update", text="booting cell 3 of 9"),
            event("wait", "v", "update", pid=2, text="for another"),
        ],
        10.0,
    )
    shown = board.shown(75.0)
    assert shown.stages == ("train 1 done, 1 running",)
    assert "device mps3 booting cell 3 of 9 (1:05)" in shown.running
    assert any(line.startswith("wait v") for line in shown.running)
    board.take([event("train", "v", "done"), event("device", "mps3", "done")], 80.0)
    assert board.shown(81.0).running == (), "who waited for it waits no longer"


@given(
    st.lists(st.tuples(st.text(max_size=90), st.sampled_from(["started", "update", "done"]))),
    st.integers(20, 200),
)
def test_no_line_is_wider_than_the_terminal(work: list[tuple[str, str]], width: int) -> None:
    board = ProgressBoard(CELLS, now=0.0)
    board.collected(TESTS)
    board.take([event("measure", task, state) for task, state in work], 1.0)
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False, color_system=None)
    console.print(drawn(board.shown(100.0), width))
    lines = stream.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    assert 2 <= len(lines) <= 11
    assert set(lines[0].rstrip()) == {"━"}, "the bar has a line of its own"
    assert lines[1].startswith("cells 0 of 3")


def test_times_are_read_at_a_glance() -> None:
    assert [clock(s) for s in (0, 59.9, 61, 3661)] == ["0:00", "0:59", "1:01", "1:01:01"]
