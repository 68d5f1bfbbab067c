"""Target mps3 on the virtual board: many jobs, many benches, benches that are killed."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.errors import PrerequisiteError
from targets.jobs.errors import JobError
from targets.mps3.console import Console
from targets.mps3.lease import owner_of
from targets.mps3.local_ports import LocalPorts
from targets.mps3.log import BoardLog
from targets.mps3.serial_line import SerialLine
from targets.mps3.target import Mps3Target
from targets.mps3.visit import firmware_image
from targets.protocol import BatchTarget, Job, Source
from targets.virtual.board.card import load_images
from targets.virtual.board.faults import Fault, FaultKind
from tests.support.bench_runs import ROOT
from tests.support.boards.jobs import assert_as_sim, board_job, small_board_job
from tests.support.boards.virtual_board import Board, virtual_board
from tests.support.boards.volumes import tree

pytestmark = pytest.mark.slow

#: Where a bench is killed: so many places, or with `make fuzz-board` all.
KILLS = int(os.environ.get("BENCH_BOARD_KILLS", "5"))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with virtual_board(tmp_path_factory.mktemp("board") / "b") as made:
        yield made


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return small_board_job(tmp_path_factory.mktemp("job"))


def boots(board: Board) -> int:
    return len(board.events("boot"))


def nobody_has(board: Board) -> bool:
    settings = board.settings()
    assert settings.state_directory is not None
    return owner_of(settings.state_directory, LocalPorts(settings).key) is None


def test_a_hundred_jobs_take_few_boots_and_lose_no_result(
    board: Board, job: Job, tmp_path: Path
) -> None:
    one = replace(job, inputs=[array[:1] for array in job.inputs])
    jobs = [replace(one, cell_id=f"job{number}-x") for number in range(100)]
    before = boots(board)
    target = Mps3Target(board.settings(repetitions=1), tmp_path)
    assert isinstance(target, BatchTarget)
    outcomes = dict(target.run_batch(jobs))
    assert sorted(outcomes) == list(range(100))
    for outcome in outcomes.values():
        assert_as_sim(one, outcome)
    assert boots(board) - before <= 5


def test_what_does_not_fit_one_image_takes_several_boots(
    board: Board, job: Job, tmp_path: Path
) -> None:
    big = board_job(big_model(tmp_path), tmp_path / "compiled", rows=1)
    before = boots(board)
    settings = board.settings(image_mib=1)
    outcomes = dict(Mps3Target(settings, tmp_path).run_batch([big, job]))
    assert_as_sim(big, outcomes[0])
    assert_as_sim(job, outcomes[1])
    assert boots(board) - before == 2
    first, second = job_bytes(board, before)
    assert first > 1 << 20 > second


def job_bytes(board: Board, boots_before: int) -> list[int]:
    """The sizes of the job images that were loaded since."""
    started = board.events("device_started")[boots_before:]
    return [size for event in started for name, size in event["images"].items() if "BENCHJ" in name]


def big_model(directory: Path) -> Path:
    """Over a MiB of constants."""
    import numpy as np

    from tests.support.models.tflite_factory import mlp

    weights = np.random.default_rng(1).integers(-127, 128, (1100, 1100), dtype=np.int8)
    path = directory / "big.tflite"
    path.write_bytes(mlp([weights], softmax=False))
    return path


def test_answers_survive_a_fault_and_only_the_rest_is_run_again(
    board: Board, job: Job, tmp_path: Path
) -> None:
    jobs = [replace(job, cell_id=f"job{number}-x") for number in range(6)]
    before = boots(board)
    board.fail(Fault(kind=FaultKind.UART_CUT, at=9000))
    outcomes = dict(Mps3Target(board.settings(), tmp_path).run_batch(jobs))
    assert len(outcomes) == 6
    for outcome in outcomes.values():
        assert_as_sim(job, outcome)
    first, second = job_bytes(board, before)
    assert second < first


def test_firmware_and_board_are_in_the_record_and_simulation_is_called_so(
    board: Board, job: Job, tmp_path: Path
) -> None:
    target = Mps3Target(board.settings(repetitions=5), tmp_path)
    measurement = target.run(job)
    assert measurement.source is Source.SIMULATED
    assert measurement.provenance["repetitions"] == "5"
    assert measurement.provenance["spread"] == "none"
    assert "virtual" in measurement.provenance["board"]
    assert any("virtual" in module for module in target.programs())
    real = Mps3Target(board.settings(virtual_speed=None), tmp_path)
    assert real.capabilities().source is Source.BOARD
    assert not real.programs()


def test_who_watches_is_told_what_is_being_done(board: Board, job: Job, tmp_path: Path) -> None:
    told: list[str] = []
    Mps3Target(board.settings(), tmp_path, progress=told.append).run(job)
    assert any(text.startswith("writing SOFTWARE/BENCHJ") for text in told)
    assert "rebooting" in told
    assert told[-1] == "", "nothing is under way any more"


def test_a_model_beyond_the_controllers_window_is_refused_before_a_boot(
    board: Board, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A real one would have to have 64 MiB of weights.
    monkeypatch.setattr("targets.mps3.batching.JOB_WINDOW", 1000)
    before = boots(board)
    ((_, outcome),) = Mps3Target(board.settings(), tmp_path).run_batch([job])
    assert isinstance(outcome, JobError)
    assert "reaches 1,000 of the DDR" in outcome.what
    assert boots(board) == before


def test_a_virtual_board_is_not_taken_for_a_real_one(
    board: Board, job: Job, tmp_path: Path
) -> None:
    settings = board.settings()
    timings = settings.timings

    class Posing(type(settings)):  # type: ignore[misc]
        @property
        def timings(self) -> object:
            return timings

    posing = Posing(**{**settings.model_dump(), "virtual_speed": None})
    ((_, outcome),) = Mps3Target(posing, tmp_path).run_batch([job])
    assert "not a Cortex-M55" in str(outcome)


def driver(board: Board, job: Path, logs: Path, step: int) -> subprocess.Popen[str]:
    text = board.settings(repetitions=1).model_dump_json()
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.support.boards.dying_bench"),
            *(text, str(job), str(logs), str(step)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_bench_killed_at_any_step_leaves_a_sound_card_and_no_lease(
    board: Board, job: Job, tmp_path: Path
) -> None:
    path = tmp_path / "job.pickle"
    path.write_bytes(pickle.dumps(job))
    before = tree(board.card)
    images = [image.data for image in load_images(board.card)]
    whole = driver(board, path, tmp_path / "whole", -1)
    output, _ = whole.communicate(timeout=120)
    assert whole.returncode == 0
    steps = int(output.split()[0])
    assert steps > 25
    chosen = random.Random(1).sample(range(steps), min(KILLS, steps))
    killed = left_ours = 0
    for step in sorted(chosen):
        process = driver(board, path, tmp_path / str(step), step)
        process.communicate(timeout=120)
        # What UART0 says comes in pieces of any size, so a run may have fewer steps.
        assert process.returncode in (-signal.SIGKILL, 0)
        killed += process.returncode == -signal.SIGKILL
        assert nobody_has(board)
        loaded = [image.data for image in load_images(board.card)]
        assert loaded == images or loaded[0] == firmware_image(), f"killed at {step}"
        if loaded != images:
            left_ours += 1
            assert loaded[1][:4] == b"EUJ1"
            assert int.from_bytes(loaded[1][8:12], "little") == len(loaded[1])
    assert killed >= len(chosen) - 2
    assert left_ours, "no kill met a card with the job on it"
    ((_, outcome),) = Mps3Target(board.settings(), tmp_path / "after").run_batch([job])
    assert_as_sim(job, outcome)
    assert tree(board.card) == before


def test_two_benches_share_a_board(board: Board, job: Job, tmp_path: Path) -> None:
    path = tmp_path / "job.pickle"
    path.write_bytes(pickle.dumps(job))
    before = tree(board.card)
    both = [driver(board, path, tmp_path / str(number), -1) for number in range(2)]
    outputs = [process.communicate(timeout=120)[0].split(" ", 1)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outputs[0] == outputs[1]
    steps = "".join(
        (tmp_path / str(n) / "mps3" / "steps.log").read_text(encoding="utf-8") for n in range(2)
    )
    assert "fault: " not in steps
    assert tree(board.card) == before
    assert nobody_has(board)


def test_a_board_in_use_is_unavailable_after_the_wait(
    board: Board, job: Job, tmp_path: Path
) -> None:
    path = tmp_path / "job.pickle"
    path.write_bytes(pickle.dumps(job))
    board.fail(Fault(kind=FaultKind.UART_SILENCE))
    other = driver(board, path, tmp_path / "other", -1)
    while nobody_has(board):
        time.sleep(0.05)
    settings = board.settings(lease_wait_minutes=0)
    ((_, outcome),) = Mps3Target(settings, tmp_path).run_batch([job])
    assert isinstance(outcome, PrerequisiteError)
    assert f"in use by process {other.pid} on" in outcome.what
    other.communicate(timeout=120)
    assert other.returncode == 0


def test_the_console_has_a_single_reader(board: Board) -> None:
    line = SerialLine(str(board.directory / "mcc"))
    with pytest.raises(Exception, match=r"cannot be opened.*lock"):
        SerialLine(str(board.directory / "mcc"))
    line.close()
    SerialLine(str(board.directory / "mcc")).close()


def test_a_port_another_program_reads_is_named_and_the_card_left_alone(
    board: Board, job: Job, tmp_path: Path
) -> None:
    other = SerialLine(str(board.directory / "uart0"))
    before = tree(board.card)
    ((_, outcome),) = Mps3Target(board.settings(), tmp_path).run_batch([job])
    other.close()
    assert isinstance(outcome, PrerequisiteError)
    assert f"{board.directory / 'uart0'} cannot be opened" in outcome.what
    assert "close other programs" in outcome.cure
    assert tree(board.card) == before
    state = board.settings().state_directory
    assert state is not None
    assert not list(state.glob("*.quarantine.json")), "the board has not failed"
    assert_as_sim(job, Mps3Target(board.settings(), tmp_path).run(job))


@pytest.mark.slow
def test_at_a_real_board_s_pace_commands_arrive_whole_and_haste_loses_characters(
    tmp_path: Path,
) -> None:
    with virtual_board(tmp_path / "b", speed=1.0) as board:
        line = SerialLine(str(board.directory / "mcc"))
        settings = board.settings(virtual_speed=None)
        console = Console(line, settings.timings, BoardLog(tmp_path / "logs"))
        began = time.monotonic()
        console.command("usb_on")
        # Eight characters, the prompt's carriage return among them.
        assert time.monotonic() - began >= 8 * 0.060
        time.sleep(0.3)
        assert [event["command"] for event in board.events("command")] == ["usb_on"]
        assert not board.events("character_lost")
        console.poll()
        line.write(b"usb_on\r")
        time.sleep(0.3)
        assert board.events("character_lost")
        assert [event["command"] for event in board.events("command")] == ["usb_on"]
        line.close()
