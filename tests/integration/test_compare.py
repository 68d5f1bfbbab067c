"""`bench compare` on the runs of whole benches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.core.arrays import Array
from bench.history.comparison import Comparison, OutputOutcome
from bench.records.provenance import Stage
from tests.support.bench_runs import ROOT, BenchRunner
from tests.support.models.tflite_factory import mlp

CONFIG = """
[grid]
macs = [64, 128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]
[workloads]
net = "net.tflite"
"""


class Runs:
    """Two runs of one bench, between which its model got another second layer."""

    def __init__(self, directory: Path) -> None:
        runner = BenchRunner(directory)
        config = runner.write_config(CONFIG)
        rng = np.random.default_rng(7)
        shapes = ((48, 64), (32, 48), (10, 32))
        weights = [rng.integers(-127, 128, shape).astype(np.int8) for shape in shapes]
        # Zeros compress well; the other model has none.
        layers = [weights[0], weights[1] * (rng.random(shapes[1]) > 0.9), weights[2]]
        self.runner, self.config = runner, config
        self.paths = [self.run(model) for model in (layers, weights)]

    def run(self, layers: list[Array]) -> Path:
        (self.runner.directory / "net.tflite").write_bytes(mlp(layers, softmax=True))
        run = self.runner.run(self.config, "-n", "0")
        assert run.returncode == 0, run.output
        return run.directory.path

    def compare(
        self, *arguments: str, cwd: Path = ROOT, cache: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "BENCH_CACHE": str(cache or self.runner.cache),
            "PYTHONPATH": str(ROOT),
        }
        return subprocess.run(
            [sys.executable, "-m", "bench.cli", "compare", *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("compare"))


def test_a_denser_layer_is_a_regression_with_cause_and_layer(runs: Runs) -> None:
    result = runs.compare(*map(str, runs.paths), "--format", "json")
    assert result.returncode == 1, result.stderr
    comparison = Comparison.model_validate_json(result.stdout)
    assert comparison.totals.regressed == comparison.totals.cells == 2
    (cause,) = comparison.causes
    assert cause.stage is Stage.TRAINING
    assert cause.cause.startswith("training: file sha256 ")
    for cell in comparison.cells:
        worse = {figure.metric.value for figure in cell.figures if figure.outcome == "regressed"}
        assert {"encoded_weights_kib", "npu_cycles", "axi1_read_beats"} <= worse
        largest = max(cell.layers, key=lambda layer: layer.difference)
        assert largest.name == "dense_1"
        assert cell.outputs.outcome is OutputOutcome.DIFFERENT
        assert cell.outputs.first is not None
        assert (cell.outputs.first.layer, cell.outputs.first.same_before) == ("dense_1", 1)


def test_text_and_markdown_say_the_same_and_the_way_back_too(runs: Runs) -> None:
    there = runs.compare(*map(str, runs.paths))
    assert there.returncode == 1
    assert "2 cells, 2 regressed" in there.stdout
    assert "outputs differ first in layer dense_1" in there.stdout
    assert there.stdout.endswith("B is worse than A.\n")
    marked = runs.compare(*map(str, runs.paths), "--format", "markdown")
    assert marked.stdout.startswith("**B is worse than A.**\n")
    assert "outputs differ first in layer dense_1" in marked.stdout
    same = runs.compare(str(runs.paths[0]), str(runs.paths[0]))
    assert same.returncode == 0
    assert same.stdout.endswith("B is not worse than A.\n")


def test_runs_are_named_by_directory_name_or_latest(runs: Runs) -> None:
    root = runs.runner.directory
    names = [path.name for path in runs.paths]
    result = runs.compare(names[0], "results/latest", cwd=root)
    assert result.returncode == 1, result.stderr
    result = runs.compare("latest", names[1], cwd=root)
    assert result.returncode == 0, result.stdout


def test_floors_and_patterns_select(runs: Runs) -> None:
    both = [*map(str, runs.paths)]
    assert runs.compare(*both, "--relative", "100").returncode == 0
    one = runs.compare(*both, "--cell", "net-*-u55_64-*")
    assert one.stdout.splitlines()[3].startswith("1 cell, 1 regressed")
    lenient = runs.compare(*both, "--absolute", "npu_cycles=1e9", "--format", "json")
    comparison = Comparison.model_validate_json(lenient.stdout)
    outcomes = {f.metric.value: f.outcome.value for f in comparison.cells[0].figures}
    assert (outcomes["npu_cycles"], outcomes["inference_ms"]) == ("unchanged", "regressed")
    for wrong in (
        ["--absolute", "npu_cycle=1"],
        ["--absolute", "npu_cycles=much"],
        ["--absolute", "7"],
        ["--cell", "nets-*"],
    ):
        result = runs.compare(*both, *wrong)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert "->" in result.stderr


def test_where_the_models_are_gone_it_says_so_and_compares_the_rest(
    runs: Runs, tmp_path: Path
) -> None:
    result = runs.compare(*map(str, runs.paths), cache=tmp_path / "none")
    assert result.returncode == 1
    text = " ".join(result.stdout.split())
    assert "outputs differ; first layer not known: the compiled model" in text
    assert "measure the cell again" in text
    assert not (tmp_path / "none").exists()


def test_models_with_other_inputs_are_compared_but_for_their_layers_outputs(runs: Runs) -> None:
    rng = np.random.default_rng(9)
    wider = runs.run([rng.integers(-127, 128, (10, 72)).astype(np.int8)])
    result = runs.compare(str(runs.paths[0]), str(wider))
    assert result.returncode == 1, result.stderr
    text = " ".join(result.stdout.split())
    assert "the models do not take the same inputs (random seed 0)" in text
    assert "data: test sha256" in text


def test_what_is_no_run_is_an_error(runs: Runs, tmp_path: Path) -> None:
    for wrong in (str(tmp_path), str(tmp_path / "nothing"), ""):
        result = runs.compare(str(runs.paths[0]), wrong)
        assert result.returncode == 2, wrong
        assert "Traceback" not in result.stderr
    copy = tmp_path / "copy"
    shutil.copytree(runs.paths[1], copy)
    manifest = json.loads((copy / "run.json").read_text(encoding="utf-8"))
    manifest["planned_cells"] = ["other"]
    (copy / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    result = runs.compare(str(runs.paths[0]), str(copy))
    assert result.returncode == 2
    assert "no cell in common" in result.stderr
