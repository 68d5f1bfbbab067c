"""A run at a terminal: a few lines that are drawn anew, no dots; elsewhere plain lines."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from tests.support.bench_runs import BenchRunner
from tests.support.models.tflite_factory import mlp

GRID = (
    '[grid]\nmacs = [64, 128]\nmemory_modes = ["Shared_Sram"]\ntargets = ["sim"]\n'
    '[workloads]\nnet = "net.tflite"\n'
)


@pytest.fixture
def runner(tmp_path: Path) -> BenchRunner:
    runner = BenchRunner(tmp_path)
    generator = np.random.default_rng(1)
    weights = [generator.integers(-127, 128, (8, 16), dtype=np.int8)]
    (tmp_path / "net.tflite").write_bytes(mlp(weights, softmax=False))
    return runner


def at_a_terminal(
    runner: BenchRunner, columns: int, *arguments: str, grid: str = GRID
) -> tuple[int, str]:
    """Exit status and everything that a bench writes to a terminal of its own."""
    command = runner.command(runner.write_config(grid), *arguments)
    environment = {**runner.environment(), "TERM": "xterm", "COLUMNS": str(columns)}
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    pid = os.fork()
    if pid == 0:
        os.login_tty(terminal) if hasattr(os, "login_tty") else _login(terminal)
        os.execvpe(command[0], command, environment)
    os.close(terminal)
    written = b""
    while True:
        try:
            piece = os.read(controller, 65536)
        except OSError:
            break
        if not piece:
            break
        written += piece
    os.close(controller)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), written.decode("utf-8", "replace")


def _login(terminal: int) -> None:
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for stream in (0, 1, 2):
        os.dup2(terminal, stream)


def plain(text: str) -> str:
    """Without what moves the cursor or sets colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("columns", [60, 100])
def test_a_person_sees_cells_stages_and_what_is_left(
    runner: BenchRunner, workers: str, columns: int
) -> None:
    status, raw = at_a_terminal(runner, columns, "-n", workers)
    text = plain(raw)
    assert status == 0, text
    assert re.search(r"cells \d of 2", text)
    assert "measure" in text
    assert not re.search(r"^\.{2,}", text, re.MULTILINE), "no dots between the lines"
    assert "2 of 2 planned cells measured" in text
    # Rows of the table at the end, none of them wrapped.
    rows = [line for line in text.splitlines() if line.startswith("│")]
    assert rows
    assert all(cell_len(row) <= columns for row in rows)


def test_a_failure_is_told_at_once_and_counted(runner: BenchRunner) -> None:
    table = '[workloads.net]\nmodel = "net.tflite"\nrandom_inputs = 2\n'
    limit = '[[workloads.net.limits]]\nmetric = "npu_cycles"\nmax = 1\n'
    grid = GRID.replace('[workloads]\nnet = "net.tflite"\n', table)
    status, raw = at_a_terminal(runner, 120, "-n", "2", grid=grid + limit)
    text = plain(raw)
    assert status == 1, text
    assert "bench: FAILED tests/regression/test_npu_cycles.py::test_npu_cycles[net-" in text
    assert "2 FAILED" in text
    assert "2 failed" in text.splitlines()[-1]


def test_elsewhere_lines_are_plain(runner: BenchRunner) -> None:
    run = runner.run(runner.write_config(GRID), "-n", "2")
    assert run.returncode == 0, run.output
    assert "\x1b" not in run.output
    assert "cells 0 of" not in run.output
    assert re.search(r"^[.s]{2,}", run.output, re.MULTILINE), "pytest's own dots"


def test_who_wants_more_of_pytest_gets_that(runner: BenchRunner) -> None:
    status, raw = at_a_terminal(runner, 120, "-n", "0", "-v")
    text = plain(raw)
    assert status == 0, text
    assert "PASSED" in text
    assert not re.search(r"cells \d of 2", text)
