"""A whole bench on the virtual board: few boots, one worker, and cells that cannot be measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.judging.suites import SUITES
from bench.records.record import Status
from targets.virtual.board.faults import Fault, FaultKind
from tests.support.bench_runs import BenchRunner
from tests.support.boards.virtual_board import Board, virtual_board
from tests.support.models.tflite_factory import mlp

GRID = """
[grid]
macs = {macs}
memory_modes = ["Shared_Sram", "Sram_Only"]
targets = ["sim", "mps3"]

[workloads.first]
model = "first.tflite"
random_inputs = 2

[workloads.second]
model = "second.tflite"
random_inputs = 2

"""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with virtual_board(tmp_path / "b") as made:
        yield made


@pytest.fixture
def runner(tmp_path: Path) -> BenchRunner:
    made = BenchRunner(tmp_path)
    generator = np.random.default_rng(5)
    for name in ("first", "second"):
        weights = [generator.integers(-127, 128, (10, 32), dtype=np.int8)]
        (tmp_path / f"{name}.tflite").write_bytes(mlp(weights, softmax=False))
    return made


def test_a_bench_boots_once_and_its_cells_are_those_of_sim(
    board: Board, runner: BenchRunner
) -> None:
    config = runner.write_config(GRID.format(macs="[64, 128]") + board.table())
    before = len(board.events("boot"))
    run = runner.run(config, "-n2")
    assert run.returncode == 0, run.output
    records = run.records()
    assert len(board.events("boot")) - before == 1
    mine = {id_: record for id_, record in records.items() if record.cell.target == "mps3"}
    assert len(mine) == 4
    for id_, record in mine.items():
        other = records[id_.replace("-mps3", "-sim")]
        assert record.measurement.counters == other.measurement.counters
        assert record.measurement.outputs_sha256 == other.measurement.outputs_sha256
        assert record.measurement.source.value == "simulated"
    # A board has one NPU: the cells of another are no failure of theirs.
    absent = {record.cell.id for record in run.directory.unmeasured().found}
    assert absent == {id_.replace("u55_128", "u55_64") for id_ in mine}
    assert "8 of 12" not in run.output
    assert "12 of 16 planned cells measured, 4 UNAVAILABLE" in run.output
    again = runner.run(config, "-n2")
    assert again.returncode == 0, again.output
    assert len(board.events("boot")) - before == 1, "measurements are kept"


def test_cells_of_a_failed_board_are_unavailable_and_the_rest_goes_on(
    board: Board, runner: BenchRunner
) -> None:
    table = board.table(power_command=())
    config = runner.write_config(GRID.format(macs="[128]") + table)
    board.fail(Fault(kind=FaultKind.BOOT_INCOMPLETE, times=0))
    run = runner.run(config, "-n2")
    assert run.returncode == 0, run.output
    assert {record.cell.target for record in run.records().values()} == {"sim"}
    absent = run.directory.unmeasured().found
    assert len(absent) == 4
    for record in absent:
        assert record.status is Status.UNAVAILABLE
        assert "quarantined" in record.reason
    outcomes = run.outcomes()
    assert {kind for name, kind in outcomes.items() if "mps3" in name} == {"skipped"}
    assert "passed" in {kind for name, kind in outcomes.items() if name.endswith("-sim]")}
    tree = ElementTree.parse(run.directory.path / "junit.xml")
    cases = {
        case.attrib["name"]: case for case in tree.iter("testcase") if "mps3" in case.attrib["name"]
    }
    assert set(cases) == {f"{one.cell.id}:{suite}" for one in absent for suite in SUITES}
    for case in cases.values():
        skipped = case.find("skipped")
        assert skipped is not None
        assert "quarantined" in (skipped.text or "")
    assert re.search(r"not measured", run.output)
    assert "4 of 8 planned cells measured, 4 UNAVAILABLE" in run.output
