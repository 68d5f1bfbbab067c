"""A user's data that is not meant so, heads to choose from, metrics of a team's own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.operators.network import Network
from tests.operators.weighted import fully_connected
from tests.support.bench_runs import BenchRunner
from tests.support.models.tflite_factory import mlp

GRID = '[grid]\nmacs = [128]\nmemory_modes = ["Shared_Sram"]\ntargets = ["sim"]\n'
ACCURACY = '[[workloads.mine.limits]]\nmetric = "accuracy"\nmin = 0.5\n'
CELL = "mine-base-u55_128-shared_sram-sim"


@pytest.fixture
def runner(tmp_path: Path) -> BenchRunner:
    return BenchRunner(tmp_path)


def workload(runner: BenchRunner, keys: str = "") -> Path:
    text = f'{GRID}[workloads.mine]\nmodel = "mine.tflite"\ndataset = "mine.npz"\n{keys}\n'
    return runner.write_config(text + ACCURACY)


def classifier(runner: BenchRunner) -> np.ndarray:
    """A model of 16 inputs from -1 to 1 and 4 classes; returns its weights."""
    weights = np.random.default_rng(5).integers(-127, 127, (4, 16), dtype=np.int8)
    data = mlp([weights], softmax=False, input_scale=1 / 127, input_zero_point=0)
    (runner.directory / "mine.tflite").write_bytes(data)
    return weights


def save(runner: BenchRunner, inputs: np.ndarray, labels: np.ndarray) -> None:
    np.savez(runner.directory / "mine.npz", inputs=inputs, labels=labels)


def samples(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inputs = np.random.default_rng(1).uniform(-1, 1, (40, 16)).astype(np.float32)
    return inputs, (inputs @ weights.T.astype(np.float32)).argmax(axis=1)


def test_data_on_another_scale_is_refused_with_both_ranges(runner: BenchRunner) -> None:
    inputs, labels = samples(classifier(runner))
    save(runner, (inputs + 1) * 127.5, labels)
    run = runner.run(workload(runner), "-n", "0", timeout=120)
    assert run.returncode == 4, run.output
    for part in ("workloads.mine.dataset", "from 0.", "to 25", "takes -1.01 to 1", "max_saturated"):
        assert part in run.output, part
    assert not run.cache.exists()


def test_collecting_looks_at_no_value_and_a_run_at_every_one(runner: BenchRunner) -> None:
    inputs, labels = samples(classifier(runner))
    inputs[30, 2] = np.nan
    save(runner, inputs, labels)
    config = workload(runner)
    collected = runner.run(config, "-n", "0", "--collect-only", "-q", timeout=120)
    assert collected.returncode == 0, collected.output
    assert CELL in collected.output
    run = runner.run(config, "-n", "0", timeout=120)
    assert run.returncode == 4, run.output
    assert "inputs[30, 2] is nan" in run.output
    assert not run.cache.exists()
    save(runner, inputs[:, 1:], labels)
    collected = runner.run(config, "-n", "0", "--collect-only", timeout=120)
    assert collected.returncode == 4
    assert "the model takes [n, 16]" in collected.output


def test_a_few_outliers_are_told_and_judged(runner: BenchRunner) -> None:
    inputs, labels = samples(classifier(runner))
    inputs[0, :8] = 3
    save(runner, inputs, labels)
    run = runner.run(workload(runner), "-n", "0", "-k", "accuracy", "-v")
    assert run.returncode == 0, run.output
    assert "of the values are cut" in run.output
    record = run.records()[CELL]
    assert record.accuracy is not None
    assert record.accuracy.saturated == 8 / 640
    (verdict,) = [v for v in record.verdicts if v.metric == "accuracy"]
    assert "saturated" in verdict.line


def test_one_hot_labels_are_refused_before_anything_runs(runner: BenchRunner) -> None:
    inputs, labels = samples(classifier(runner))
    save(runner, inputs, np.eye(4, dtype=np.int64)[labels])
    run = runner.run(workload(runner), "-n", "0")
    assert run.returncode == 4, run.output
    assert "one-hot" in run.output
    assert not run.cache.exists()


def test_the_head_the_labels_are_about_is_chosen(runner: BenchRunner) -> None:
    network = Network(3)
    value = network.input((1, 16), scale=1 / 127, zero_point=0)
    heads = [fully_connected(network, value, 4), fully_connected(network, value, 4)]
    (runner.directory / "mine.tflite").write_bytes(network.serialise(heads))
    save(runner, np.zeros((5, 16), np.float32), np.zeros(5, np.int64))
    run = runner.run(workload(runner), "-n", "0")
    assert run.returncode == 4, run.output
    assert "the labels fit 2 of the model's 2 outputs" in run.output
    name = run.output.partition("outputs: ")[2].partition(" [")[0]
    chosen = runner.run(workload(runner, f'output = "{name}"'), "-n", "0", "-k", "npu_cycles")
    assert chosen.returncode == 0, chosen.output
    wrong = runner.run(workload(runner, 'output = "nothing"'), "-n", "0")
    assert wrong.returncode == 4
    assert "has no output 'nothing'" in wrong.output


METRIC = """
import numpy

def share_of_class_zero(outputs, labels):
    assert outputs.dtype == numpy.float32 and outputs.shape == (40, 4), outputs
    return (labels == 0).mean()

def broken(outputs, labels):
    raise ValueError("no such class")

def infinite(outputs, labels):
    return float("inf")
"""


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("share_of_class_zero", ""),
        ("broken", "no such class"),
        ("infinite", "not a finite number"),
        ("absent", "has no attribute 'absent'"),
    ],
)
def test_a_metric_of_the_teams_own(runner: BenchRunner, function: str, says: str) -> None:
    inputs, labels = samples(classifier(runner))
    save(runner, inputs, labels)
    (runner.directory / "metrics.py").write_text(METRIC, encoding="utf-8")
    config = workload(runner, f'metric = "metrics.py:{function}"')
    config.write_text(
        config.read_text(encoding="utf-8").replace("min = 0.5", "min = 0"), encoding="utf-8"
    )
    run = runner.run(config, "-n", "0", "-k", "accuracy")
    if says:
        assert run.returncode == 1, run.output
        assert says in run.output
        assert f"metrics.py:{function}" in run.output
        return
    assert run.returncode == 0, run.output
    record = run.records()[CELL]
    assert record.accuracy is not None
    assert record.accuracy.metric == f"metrics.py:{function}"
    assert record.accuracy.value == pytest.approx((labels == 0).mean())


def test_a_metric_file_that_is_not_there_is_an_error_at_the_start(runner: BenchRunner) -> None:
    inputs, labels = samples(classifier(runner))
    save(runner, inputs, labels)
    run = runner.run(workload(runner, 'metric = "metrics.py:f1"'), "-n", "0")
    assert run.returncode == 4
    assert re.search(r"workloads\.mine\.metric: .*metrics\.py: cannot be read", run.output)
    run = runner.run(workload(runner, 'metric = "top2"'), "-n", "0")
    assert run.returncode == 4
    assert "unknown metric 'top2'" in run.output
