"""A whole bench on three boards behind one labgrid coordinator, of which one dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.records.record import Status
from targets.mps3.lease import owner_of
from tests.support.bench_runs import BenchRunner
from tests.support.boards.labgrid_place import Lab, labgrid_lab
from tests.support.boards.virtual_board import Board, at_next_boots, virtual_board
from tests.support.models.tflite_factory import mlp

pytestmark = pytest.mark.slow

GRID = """
[grid]
macs = [64, 128, 256]
memory_modes = ["Shared_Sram", "Sram_Only"]
targets = ["sim", "mps3"]

[workloads.first]
model = "first.tflite"
random_inputs = 2

"""


@pytest.fixture
def boards(tmp_path: Path) -> Iterator[dict[str, Board]]:
    with (
        virtual_board(tmp_path / "lab-a") as a,
        virtual_board(tmp_path / "lab-b") as b,
        virtual_board(tmp_path / "lab-c", macs=256) as c,
    ):
        yield {"lab-a": a, "lab-b": b, "lab-c": c}


@pytest.fixture
def lab(boards: dict[str, Board], tmp_path: Path) -> Iterator[Lab]:
    hosts = [{"lab-a": boards["lab-a"], "lab-b": boards["lab-b"]}, {"lab-c": boards["lab-c"]}]
    with labgrid_lab(hosts, tmp_path / "lab") as made:
        yield made


@pytest.fixture
def runner(tmp_path: Path) -> BenchRunner:
    made = BenchRunner(tmp_path)
    weights = [np.random.default_rng(5).integers(-127, 128, (10, 32), dtype=np.int8)]
    (tmp_path / "first.tflite").write_bytes(mlp(weights, softmax=False))
    return made


def pool(lab: Lab, boards: Mapping[str, Board], state: Path) -> str:
    """Two boards of 128 MACs by their tags, the other by its place."""
    board = boards["lab-a"]
    return board.pool_table(
        'name = "small"\nmacs = 128\ncount = 2\nlabgrid_tags = { board = "mps3", macs = "128" }',
        'name = "big"\nmacs = 256\nlabgrid_place = "lab-c"',
        state_directory=state,
        labgrid_environment=lab.environment,
        labgrid_volume=str(board.directory.parent / "{place}" / "volume"),
    )


def test_cells_go_to_boards_that_fit_and_those_of_a_dead_board_to_its_sibling(
    boards: dict[str, Board], lab: Lab, runner: BenchRunner, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    config = runner.write_config(GRID + pool(lab, boards, state))
    before = {name: len(board.events("boot")) for name, board in boards.items()}
    # Which boots first, nobody knows: a board that is ready early may do the work of its sibling.
    dead: list[str] = []

    def kill_the_first(board: Board) -> None:
        if not dead:
            os.kill(board.pid, signal.SIGKILL)
            dead.append(board.directory.name)

    with at_next_boots([boards["lab-a"], boards["lab-b"]], kill_the_first):
        run = runner.run(config, "-n2")
    assert run.returncode == 0, run.output
    assert len(dead) == 1
    records = run.records()
    mine = {id_: record for id_, record in records.items() if record.cell.target == "mps3"}
    assert len(mine) == 4, "128 and 256 MACs, two memory modes"
    for id_, record in mine.items():
        other = records[id_.replace("-mps3", "-sim")]
        assert record.measurement.counters == other.measurement.counters
        assert record.measurement.outputs_sha256 == other.measurement.outputs_sha256
        big = "u55_256" in id_
        assert ("(big)" if big else "(small-") in record.measurement.provenance["board"]
    for name in set(boards).difference(dead):
        assert len(boards[name].events("boot")) > before[name]
    # What fits nowhere is named, with what the pool has.
    absent = run.directory.unmeasured().found
    assert {record.cell.id for record in absent} == {
        id_.replace("u55_128", "u55_64") for id_ in mine if "u55_128" in id_
    }
    for one in absent:
        assert one.status is Status.UNAVAILABLE
        assert "has no ethos-u55-64; it has 128, 256 MACs/cc" in one.reason
    assert "10 of 12 planned cells measured, 2 UNAVAILABLE" in run.output
    # The user hears of the board, and finds out more.
    assert "is left out of this batch" in run.output
    quarantines = list(state.glob("*.quarantine.json"))
    assert [path.name for path in quarantines] == [f"labgrid-{dead[0]}.quarantine.json"]
    # Nothing is left: at the coordinator, or on this machine.
    assert lab.acquired() == []
    assert lab.reservations() == ""
    keys = [path.stem for path in state.glob("*.lease")]
    assert sorted(keys) == ["labgrid-lab-a", "labgrid-lab-b", "labgrid-lab-c"]
    assert not any(owner_of(state, key) for key in keys)
