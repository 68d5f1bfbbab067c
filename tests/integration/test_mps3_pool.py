"""Several virtual boards of this machine as one target."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.core.errors import BenchError, TargetError, TargetUnavailableError
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.mps3.lease import owner_of
from targets.mps3.local_ports import LocalPorts
from targets.mps3.quarantine import FAILURES, Quarantine
from targets.mps3.target import Mps3Target
from targets.protocol import Job, Measurement
from targets.settings.board_place import PoolBoard
from targets.settings.mps3 import Mps3Settings
from tests.support.boards.jobs import assert_as_sim, small_board_job
from tests.support.boards.virtual_board import Board, boot_together, virtual_board
from tests.support.boards.volumes import tree
from tests.support.models.compiled_jobs import compiled_job

MACS = {"left": 128, "right": 128, "big": 256}


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Board]]:
    directory = tmp_path_factory.mktemp("boards")
    with (
        virtual_board(directory / "left") as left,
        virtual_board(directory / "right") as right,
        virtual_board(directory / "big", macs=256) as big,
    ):
        yield {"left": left, "right": right, "big": big}


@pytest.fixture(scope="module")
def cards(boards: dict[str, Board]) -> dict[str, dict[str, bytes]]:
    """What is on the cards before anybody touches them."""
    return {name: tree(board.card) for name, board in boards.items()}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Job]]:
    """Four jobs for 128 MACs, and one for 256."""
    directory = tmp_path_factory.mktemp("jobs")
    small = [small_board_job(directory / str(number), rows=number + 1) for number in range(4)]
    large = compiled_job(
        small[0].source_model,
        directory / "large",
        accelerator=Accelerator.U55_256,
        memory_mode=MemoryMode.SHARED_SRAM,
        rows=1,
    )
    return {128: small, 256: [large]}


def pool(boards: dict[str, Board], state: Path, **macs: int) -> Mps3Settings:
    """Settings for `boards`; `macs` states other numbers than theirs."""
    common = next(iter(boards.values())).settings(
        console="", uart="", volume=None, power_command=(), macs=128, state_directory=state
    )
    listed = tuple(
        PoolBoard(
            name=name,
            macs=Accelerator(macs.get(name, MACS[name])),
            console=str(board.directory / "mcc"),
            uart=str(board.directory / "uart0"),
            volume=board.directory / "volume",
        )
        for name, board in boards.items()
    )
    return Mps3Settings.model_validate({**common.model_dump(), "boards": listed})


def boots(boards: dict[str, Board]) -> dict[str, int]:
    return {name: len(board.events("boot")) for name, board in boards.items()}


def board_of(outcome: Measurement | BenchError) -> str:
    assert isinstance(outcome, Measurement), outcome
    return outcome.provenance["board"]


def assert_nobody_has_any(state: Path) -> None:
    keys = [path.stem for path in state.glob("*.lease")]
    assert keys
    assert [owner for key in keys if (owner := owner_of(state, key))] == []


def test_jobs_go_to_boards_that_fit_and_all_boards_work(
    boards: dict[str, Board],
    cards: dict[str, dict[str, bytes]],
    jobs: dict[int, list[Job]],
    tmp_path: Path,
) -> None:
    patient = {"boot_timeout_s": 60, "silence_s": 60}
    settings = pool(boards, tmp_path / "state").model_copy(update=patient)
    batch = [*jobs[256], *jobs[128]]
    before = boots(boards)
    steps: list[str] = []
    target = Mps3Target(settings, tmp_path / "logs", progress=steps.append)
    with boot_together(boards["left"], boards["right"]):
        outcomes = dict(target.run_batch(batch))
    assert sorted(outcomes) == list(range(len(batch)))
    for number, job in enumerate(batch):
        assert_as_sim(job, outcomes[number])
    assert board_of(outcomes[0]) == "the virtual board: figures are simulated (big)"
    used = {board_of(outcomes[number]).split("(")[1] for number in range(1, len(batch))}
    assert used == {"left)", "right)"}
    assert {name: many - before[name] for name, many in boots(boards).items()} == {
        "left": 1,
        "right": 1,
        "big": 1,
    }
    assert {name: tree(board.card) for name, board in boards.items()} == cards
    assert_nobody_has_any(tmp_path / "state")
    assert any(step.startswith("left: rebooting") for step in steps)
    assert steps[-1] == ""
    assert (tmp_path / "logs" / "mps3" / "right" / "steps.log").is_file()


def test_a_job_that_fits_no_board_says_what_the_pool_has(
    boards: dict[str, Board], jobs: dict[int, list[Job]], tmp_path: Path
) -> None:
    settings = pool({"left": boards["left"]}, tmp_path / "state")
    before = boots(boards)
    ((_, outcome),) = Mps3Target(settings, tmp_path / "logs").run_batch(jobs[256])
    assert isinstance(outcome, TargetUnavailableError)
    assert outcome.what == "no board of the pool has 256 MACs/cc; it has: left 128"
    assert boots(boards) == before


@pytest.mark.slow
def test_a_board_with_another_bitfile_than_it_should_gives_its_jobs_away(
    boards: dict[str, Board], jobs: dict[int, list[Job]], tmp_path: Path
) -> None:
    two = {name: boards[name] for name in ("left", "big")}
    settings = pool(two, tmp_path / "state", big=128)
    outcomes = dict(Mps3Target(settings, tmp_path / "logs").run_batch(jobs[128]))
    for number, job in enumerate(jobs[128]):
        assert_as_sim(job, outcomes[number])
        assert board_of(outcomes[number]).endswith("(left)")
    # Without a sibling it is a mistake in the configuration, and no board that is merely absent.
    alone = pool({"big": boards["big"]}, tmp_path / "state", big=128)
    ((_, outcome),) = Mps3Target(alone, tmp_path / "logs").run_batch(jobs[128][:1])
    assert isinstance(outcome, TargetError)
    assert not isinstance(outcome, TargetUnavailableError)
    assert "big: the board's NPU has 256 MACs/cc" in outcome.what


@pytest.mark.slow
def test_the_sibling_of_a_board_in_quarantine_does_its_work(
    boards: dict[str, Board], jobs: dict[int, list[Job]], tmp_path: Path
) -> None:
    two = {name: boards[name] for name in ("left", "right")}
    settings = pool(two, tmp_path / "state")
    key = LocalPorts(settings.members()["right"]).key
    (tmp_path / "state").mkdir()
    for _ in range(FAILURES):
        Quarantine(tmp_path / "state", key, 12).failed("it burns")
    before = boots(boards)
    outcomes = dict(Mps3Target(settings, tmp_path / "logs").run_batch(jobs[128]))
    for number, job in enumerate(jobs[128]):
        assert_as_sim(job, outcomes[number])
        assert board_of(outcomes[number]).endswith("(left)")
    assert boots(boards)["right"] == before["right"]
    assert_nobody_has_any(tmp_path / "state")
    # Without a sibling its cells are unavailable, and the reason is said.
    alone = pool({"right": boards["right"]}, tmp_path / "state")
    ((_, outcome),) = Mps3Target(alone, tmp_path / "logs").run_batch(jobs[128][:1])
    assert isinstance(outcome, TargetUnavailableError)
    assert "no board with 128 MACs/cc is left of the pool (right 128)" in outcome.what
    assert "right: the board is in quarantine: it failed 2 times" in outcome.what


@pytest.mark.slow
def test_an_interrupted_batch_leaves_cards_and_leases_as_they_were(
    boards: dict[str, Board],
    cards: dict[str, dict[str, bytes]],
    jobs: dict[int, list[Job]],
    tmp_path: Path,
) -> None:

    def interrupt(step: str) -> None:
        if step.endswith(": rebooting"):
            raise KeyboardInterrupt

    target = Mps3Target(pool(boards, tmp_path / "state"), tmp_path / "logs", progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(target.run_batch([*jobs[128], *jobs[256]]))
    assert {name: tree(board.card) for name, board in boards.items()} == cards
    assert_nobody_has_any(tmp_path / "state")


@pytest.mark.slow
def test_a_board_whose_process_dies_gives_its_jobs_away(
    boards: dict[str, Board], jobs: dict[int, list[Job]], tmp_path: Path
) -> None:
    two = {name: boards[name] for name in ("left", "right")}
    state = tmp_path / "state"
    killed: list[str] = []

    def kill_once(step: str) -> None:
        name, _, does = step.partition(": ")
        if does == "rebooting" and not killed:
            killed.append(name)
            for key in (path.stem for path in state.glob("*.lease")):
                owner = owner_of(state, key)
                if owner is not None and f"board {name}" in owner.purpose:
                    os.kill(owner.pid, signal.SIGKILL)

    target = Mps3Target(pool(two, state), tmp_path / "logs", progress=kill_once)
    outcomes = dict(target.run_batch(jobs[128]))
    (sibling,) = set(two).difference(killed)
    for number, job in enumerate(jobs[128]):
        assert_as_sim(job, outcomes[number])
        assert board_of(outcomes[number]).endswith(f"({sibling})")
    # A crash of ours is not an absent board: with no sibling, the cells fail.
    killed.clear()
    alone = Mps3Target(
        pool({"right": boards["right"]}, state), tmp_path / "logs", progress=kill_once
    )
    ((_, outcome),) = alone.run_batch(jobs[128][:1])
    assert isinstance(outcome, TargetError)
    assert not isinstance(outcome, TargetUnavailableError)
    assert "the process of board right ended with SIGKILL" in outcome.what
