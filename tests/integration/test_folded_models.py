"""Models with an open batch or sparse weights run as they are given, and the record tells."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.support.bench_runs import BenchRun, BenchRunner
from tests.support.models import foldable
from tests.support.models.tflite_factory import fully_connected

MODELS = {
    "flattened": foldable.flattened(),
    "two_inputs": foldable.two_open_inputs(),
    "sparse_dense": foldable.sparse_dense((1, 16), densify=False)[0],
    "sparse_conv": foldable.sparse_convolution()[0],
    "plain": fully_connected(np.ones((4, 8), np.int8)),
}
GRID = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]
"""
WORKLOAD = """
[workloads.{name}]
model = "{name}.tflite"
random_inputs = 20

[[workloads.{name}.limits]]
metric = "cpu_operators"
max = 0
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    runner = BenchRunner(tmp_path_factory.mktemp("folded"))
    for name, data in MODELS.items():
        (runner.directory / f"{name}.tflite").write_bytes(data)
    config = runner.write_config(GRID + "".join(WORKLOAD.format(name=name) for name in MODELS))
    return runner.run(config, "-n", "2")


@pytest.mark.parametrize("name", MODELS)
def test_the_cell_is_measured_exactly_and_wholly_on_the_npu(run: BenchRun, name: str) -> None:
    assert run.returncode == 0, run.output[-4000:]
    record = run.records()[f"{name}-base-u55_128-shared_sram-sim"]
    assert record.compilation.cpu_operators == ()
    assert record.reference is not None
    assert record.reference.mismatches == 0
    assert record.reference.elements > 0


def test_the_record_tells_what_was_changed_in_which_file(run: BenchRun) -> None:
    records = {cell.split("-")[0]: record.model for cell, record in run.records().items()}
    assert "picture" in records["flattened"].changes[0]
    assert "SHAPE" in records["flattened"].changes[1]
    assert "a, b" in records["two_inputs"].changes[0]
    for name in ("sparse_dense", "sparse_conv"):
        assert records[name].changes == ("1 constants that were stored sparse are stored dense",)
    for name, model in records.items():
        sha256 = hashlib.sha256(MODELS[name]).hexdigest()
        assert (model.sha256 == sha256) is (name == "plain")
        assert model.provenance.get("file_sha256", model.sha256) == sha256
    assert records["plain"].changes == ()


def test_the_run_says_it(run: BenchRun) -> None:
    assert "flattened.tflite is changed before it is compiled: the open batch of" in run.output
    assert "plain.tflite is changed" not in run.output


def test_an_open_height_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "open.tflite").write_bytes(foldable.flattened((-1, -1, 4, 2)))
    runner = BenchRunner(tmp_path)
    run = runner.run(runner.write_config(GRID + WORKLOAD.format(name="open")), "-n", "0")
    assert run.returncode == 4
    assert "input 'picture' has a dynamic shape [-1, -1, 4, 2]" in run.output
    assert "fixed input shape" in run.output
