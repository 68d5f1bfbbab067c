"""Target mps3 over a real labgrid coordinator and exporter, with the virtual board behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bench.core.errors import PrerequisiteError
from targets.mps3.target import Mps3Target
from targets.settings.mps3 import Mps3Settings
from targets.virtual.board.faults import Fault, FaultKind
from tests.support.bench_runs import ROOT
from tests.support.boards.jobs import assert_as_sim, small_board_job
from tests.support.boards.labgrid_place import PLACE, client, labgrid_board
from tests.support.boards.virtual_board import Board, virtual_board
from tests.support.boards.volumes import tree

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with virtual_board(tmp_path_factory.mktemp("board") / "b") as made:
        yield made


@pytest.fixture(scope="module")
def settings(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mps3Settings]:
    with labgrid_board(board, tmp_path_factory.mktemp("labgrid") / "l") as made:
        yield made


def address(settings: Mps3Settings) -> str:
    assert settings.labgrid_environment is not None
    text = settings.labgrid_environment.read_text(encoding="utf-8")
    return str(yaml.safe_load(text)["options"]["coordinator_address"])


def acquired(settings: Mps3Settings) -> bool:
    return "acquired: None" not in client(address(settings), "-p", PLACE, "show")


def test_a_measurement_through_labgrid_is_that_of_sim(
    board: Board, settings: Mps3Settings, tmp_path: Path
) -> None:
    job = small_board_job(tmp_path)
    before = tree(board.card)
    assert_as_sim(job, Mps3Target(settings, tmp_path / "logs").run(job))
    assert tree(board.card) == before
    assert not acquired(settings)
    assert not board.events("typed_during_boot")


def test_power_is_cycled_through_labgrid(
    board: Board, settings: Mps3Settings, tmp_path: Path
) -> None:
    job = small_board_job(tmp_path)
    powered = len(board.events("power"))
    board.fail(FaultKind.BOOT_HANG)
    assert_as_sim(job, Mps3Target(settings, tmp_path / "logs").run(job))
    assert len(board.events("power")) == powered + 1
    assert not acquired(settings)


def test_a_place_somebody_else_has_is_left_alone(
    board: Board, settings: Mps3Settings, tmp_path: Path
) -> None:
    client(address(settings), "-p", PLACE, "acquire", user="somebody")
    job = small_board_job(tmp_path)
    boots = len(board.events("boot"))
    impatient = settings.model_copy(update={"lease_wait_minutes": 0.0})
    ((_, outcome),) = Mps3Target(impatient, tmp_path / "logs").run_batch([job])
    assert isinstance(outcome, PrerequisiteError)
    assert f"the labgrid place {PLACE} cannot be acquired" in outcome.what
    assert "somebody" in outcome.what
    assert acquired(settings)
    assert len(board.events("boot")) == boots
    client(address(settings), "-p", PLACE, "release", user="somebody")


def test_a_place_a_killed_bench_kept_is_taken_back(settings: Mps3Settings, tmp_path: Path) -> None:
    client(address(settings), "-p", PLACE, "acquire", user="ethos-u55-bench")
    job = small_board_job(tmp_path)
    assert_as_sim(job, Mps3Target(settings, tmp_path / "logs").run(job))
    assert not acquired(settings)


def test_a_volume_that_fails_behind_labgrid_is_named(
    board: Board, settings: Mps3Settings, tmp_path: Path
) -> None:
    job = small_board_job(tmp_path)
    board.fail(Fault(kind=FaultKind.WRONG_VOLUME, times=0))
    (board.directory / "volume").unlink()
    (board.directory / "volume").symlink_to("debug_drive")
    ((_, outcome),) = Mps3Target(settings, tmp_path / "logs").run_batch([job])
    assert isinstance(outcome, PrerequisiteError)
    assert f"127.0.0.1:{board.directory / 'volume'} is not the SD card of an MPS3" in outcome.what
    board.fail()
    (board.directory / "volume").unlink()
    (board.directory / "volume").symlink_to("sd")


def test_the_samples_are_what_labgrid_takes() -> None:
    environment = yaml.safe_load((ROOT / "deploy" / "labgrid.yaml").read_text(encoding="utf-8"))
    assert environment["targets"]["main"]["resources"]["RemotePlace"]["name"] == PLACE
    exported = yaml.safe_load(
        (ROOT / "deploy" / "labgrid-exporter.yaml").read_text(encoding="utf-8")
    )
    from labgrid.remote.exporter import exports

    (group,) = exported.values()
    assert set(group) == {"mcc", "uart0", "card", "power"}
    assert {resource["cls"] for resource in group.values()} <= set(exports)
