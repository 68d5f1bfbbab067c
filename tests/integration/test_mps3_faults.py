"""Faults of the virtual board: each ends in a recovery or a precise error, in bounded time."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from bench.core.errors import BenchError, PrerequisiteError, TargetError
from targets.mps3.lease import owner_of
from targets.mps3.local_ports import LocalPorts
from targets.mps3.target import Mps3Target
from targets.protocol import Job, Measurement
from targets.virtual.board.faults import Fault, FaultKind
from tests.support.boards.jobs import assert_as_sim, small_board_job
from tests.support.boards.virtual_board import Board, virtual_board
from tests.support.boards.volumes import tree

pytestmark = pytest.mark.slow

#: Faults that pass, and how many boots the recovery may take.
PASSING = {
    Fault(kind=FaultKind.MCC_DROP, at=3): 1,
    Fault(kind=FaultKind.MCC_DROP, at=1): 1,
    Fault(kind=FaultKind.MCC_REPEAT, at=2): 1,
    Fault(kind=FaultKind.MCC_SILENT): 2,
    Fault(kind=FaultKind.BOOT_GARBAGE): 1,
    Fault(kind=FaultKind.BOOT_HANG): 4,
    Fault(kind=FaultKind.BOOT_INCOMPLETE): 2,
    Fault(kind=FaultKind.REBOOT_IGNORED): 1,
    Fault(kind=FaultKind.UART_SILENCE): 1,
    Fault(kind=FaultKind.UART_CUT, at=900): 2,
    Fault(kind=FaultKind.UART_LOSE, at=700): 2,
    Fault(kind=FaultKind.UART_FLIP, at=1500): 2,
    Fault(kind=FaultKind.VOLUME_VANISHES): 1,
}
#: How many random pairs; all of them with `make fuzz-board`.
PAIRS = int(os.environ.get("BENCH_BOARD_FAULT_PAIRS", "4"))
#: Seconds any run may take, whatever goes wrong: three ladders of six rungs.
BOUND = 120


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with virtual_board(tmp_path_factory.mktemp("board") / "b") as made:
        yield made


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return small_board_job(tmp_path_factory.mktemp("job"))


def run(board: Board, job: Job, logs: Path, **changes: object) -> Measurement | BenchError:
    """One run, and what must hold after it however it ended."""
    settings = board.settings(**changes)
    before = tree(board.card)
    ((number, outcome),) = Mps3Target(settings, logs).run_batch([job])
    assert number == 0
    assert not board.events("typed_during_boot")
    assert tree(board.card) == before, "the card is not as it was"
    assert settings.state_directory is not None
    assert owner_of(settings.state_directory, LocalPorts(settings).key) is None
    return outcome


def boots(board: Board) -> int:
    return len(board.events("boot"))


def named(fault: Fault) -> str:
    return f"{fault.kind.value}_{fault.at}"


@pytest.mark.parametrize("fault", PASSING, ids=named)
def test_a_passing_fault_is_recovered_from(
    board: Board, job: Job, tmp_path: Path, fault: Fault
) -> None:
    before, began = boots(board), time.monotonic()
    board.fail(fault)
    assert_as_sim(job, run(board, job, tmp_path))
    assert time.monotonic() - began < BOUND
    assert boots(board) - before <= PASSING[fault]
    steps = (tmp_path / "mps3" / "steps.log").read_text(encoding="utf-8")
    if fault.kind not in (FaultKind.BOOT_GARBAGE, FaultKind.VOLUME_VANISHES):
        assert ("fault: " in steps and "recovery: " in steps) or "no prompt after" in steps


@pytest.mark.parametrize(
    "pair",
    random.Random(6).sample(list(combinations(PASSING, 2)), min(PAIRS, 78)),
    ids=lambda pair: "+".join(map(named, pair)),
)
def test_two_passing_faults_at_once(
    board: Board, job: Job, tmp_path: Path, pair: tuple[Fault, Fault]
) -> None:
    began = time.monotonic()
    board.fail(*pair)
    assert_as_sim(job, run(board, job, tmp_path))
    assert time.monotonic() - began < BOUND


def test_the_mac_count_of_the_bitfile_is_read_back(board: Board, job: Job, tmp_path: Path) -> None:
    board.fail(Fault(kind=FaultKind.MACS, at=64, times=0))
    outcome = run(board, job, tmp_path)
    assert isinstance(outcome, TargetError)
    assert "NPU has 64 MACs/cc" in outcome.what
    assert "128" in outcome.what
    board.fail()


def test_an_npu_that_hangs_is_the_jobs_error(board: Board, job: Job, tmp_path: Path) -> None:
    board.fail(Fault(kind=FaultKind.NPU_HANG, times=0))
    outcome = run(board, job, tmp_path)
    assert isinstance(outcome, TargetError)
    assert "did not finish within 3200 million processor cycles" in outcome.what
    board.fail()
    assert_as_sim(job, run(board, job, tmp_path))


def test_the_wrong_drive_is_never_written(board: Board, job: Job, tmp_path: Path) -> None:
    board.fail(Fault(kind=FaultKind.WRONG_VOLUME, times=0))
    (board.directory / "volume").unlink()
    (board.directory / "volume").symlink_to("debug_drive")
    outcome = run(board, job, tmp_path)
    assert isinstance(outcome, PrerequisiteError)
    assert "not the SD card of an MPS3" in outcome.what
    assert [path.name for path in (board.directory / "debug_drive").iterdir()] == ["MBED.HTM"]
    board.fail()
    (board.directory / "volume").unlink()
    (board.directory / "volume").symlink_to("sd")
    assert_as_sim(job, run(board, job, tmp_path))


def test_a_board_that_fails_twice_is_quarantined(board: Board, job: Job, tmp_path: Path) -> None:
    board.fail(Fault(kind=FaultKind.BOOT_INCOMPLETE, times=0))
    began = time.monotonic()
    outcome = run(board, job, tmp_path, power_command=())
    assert time.monotonic() - began < BOUND
    assert isinstance(outcome, PrerequisiteError)
    assert "failed 2 times in a row and is quarantined" in outcome.what
    assert "the FPGA was not configured" in outcome.what
    steps = (tmp_path / "mps3" / "steps.log").read_text(encoding="utf-8")
    assert steps.count("no step has helped") == 2
    board.fail()
    before = boots(board)
    again = run(board, job, tmp_path)
    assert isinstance(again, PrerequisiteError)
    assert "in quarantine: it failed 2 times in a row" in again.what
    assert boots(board) == before, "a board in quarantine is left alone"
    state = board.settings().state_directory
    assert state is not None
    (file,) = state.glob("*.quarantine.json")
    assert str(file) in again.cure
    file.unlink()
    assert_as_sim(job, run(board, job, tmp_path))
