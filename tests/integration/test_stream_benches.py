"""Data sets of streams through the whole bench: each step is compared, and judged if labelled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.tflite.interpreters import run_tflm
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from tests.operators.network import Network, Value
from tests.operators.streaming import keyword_spotter, lstm, wake_word
from tests.support.bench_runs import BenchRun, BenchRunner
from tests.support.models.tflite_factory import fully_connected

GRID = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["sim", "vela"]

[workloads]
"""
STREAMS, STEPS = 4, 15
#: More inferences than are compared by default: 100.
LONG = 150


def write(path: Path, build: Callable[[Network], Value]) -> Path:
    network = Network(5)
    path.write_bytes(network.serialise([build(network)]))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    runner = BenchRunner(tmp_path_factory.mktemp("streams"))
    directory = runner.directory
    model = write(directory / "wake.tflite", wake_word)
    (flat,) = random_inputs(inspect(model), STREAMS * STEPS, seed=3)
    inputs = flat.reshape(STREAMS, STEPS, *flat.shape[1:])
    (outputs,) = run_tflm(model, [inputs])
    right = outputs.argmax(axis=-1)
    # One step in each stream is labelled wrongly.
    wrong = right.copy()
    wrong[:, 4] = (wrong[:, 4] + 1) % 4
    np.savez(directory / "steps.npz", inputs=inputs, labels=wrong)
    np.savez(directory / "last.npz", inputs=inputs, labels=right[:, -1])
    np.savez(directory / "rows.npz", inputs=inputs[:, -1], labels=right[:, -1])
    write(directory / "lstm.tflite", lstm)
    write(directory / "svdf.tflite", keyword_spotter)
    config = (
        GRID
        + f"""
wake_steps = {{ model = "wake.tflite", dataset = "steps.npz" }}
wake_last = {{ model = "wake.tflite", dataset = "last.npz" }}
wake_rows = {{ model = "wake.tflite", dataset = "rows.npz" }}
lstm = {{ model = "lstm.tflite", random_inputs = 2, random_steps = {LONG} }}
svdf = {{ model = "svdf.tflite", random_inputs = 3, random_steps = 20 }}
"""
    )
    return runner.run(runner.write_config(config), "-n", "2")


def record(run: BenchRun, workload: str, target: str = "sim"):  # type: ignore[no-untyped-def]
    return run.records()[f"{workload}-base-u55_128-shared_sram-{target}"]


@pytest.mark.parametrize(
    ("workload", "streams", "steps"),
    [("wake_steps", STREAMS, STEPS), ("wake_last", STREAMS, STEPS), ("svdf", 3, 20)],
)
def test_every_step_is_that_of_the_reference(
    run: BenchRun, workload: str, streams: int, steps: int
) -> None:
    made = record(run, workload)
    assert (made.data.samples, made.data.steps) == (streams, steps), run.output[-3000:]
    assert made.model.keeps_state
    assert made.reference.mismatches == 0
    assert made.reference.samples == streams
    assert made.reference.elements == streams * steps * 4
    # The outputs of `vela` are the reference's.
    assert record(run, workload, "vela").measurement.outputs_sha256 == (
        made.measurement.outputs_sha256
    )


def test_a_long_stream_is_compared_whole(run: BenchRun) -> None:
    made = record(run, "lstm")
    assert made.reference.samples == 1
    assert made.reference.elements == LONG * 8
    assert made.reference.mismatches == 0


def test_labels_of_steps_and_of_streams(run: BenchRun) -> None:
    steps, last = record(run, "wake_steps").accuracy, record(run, "wake_last").accuracy
    assert steps.value == 1 - 1 / STEPS
    assert last.value == 1
    assert steps.samples == last.samples == STREAMS


def test_without_what_came_before_the_last_step_answers_otherwise(run: BenchRun) -> None:
    """And the report says that rows start anew."""
    rows = record(run, "wake_rows")
    assert rows.data.steps is None
    assert rows.accuracy.value < 1
    assert rows.reference.mismatches == 0
    # Where the line is broken depends on the terminal.
    told = " ".join(run.output.split())
    assert "each from the initial state (the model keeps state; give it streams)" in told
    assert f"{STREAMS} streams of {STEPS} steps" in run.output


@pytest.mark.parametrize(
    ("arrays", "model", "said"),
    [
        ({"inputs": (3, 5, 8)}, "plain", "streams, but the model keeps no state"),
        ({"inputs": (3, 5, 6)}, "lstm", "the model takes [n, 1, 6]"),
        ({"inputs": (3, 0, 1, 6)}, "lstm", "number of steps must be one and above 0"),
        ({"inputs": (3, 5, 1, 6), "labels": (4,)}, "lstm", "inputs 3, labels 4"),
        ({"inputs": (3, 5, 1, 6), "labels": (3, 4)}, "lstm", "needs one integer class per row"),
    ],
)
def test_what_is_no_stream_is_refused_at_the_start(
    tmp_path: Path, arrays: dict[str, tuple[int, ...]], model: str, said: str
) -> None:
    write(tmp_path / "lstm.tflite", lstm)
    (tmp_path / "plain.tflite").write_bytes(fully_connected(np.ones((4, 8), np.int8)))
    made = {name: np.zeros(shape, np.int8) for name, shape in arrays.items()}
    np.savez(tmp_path / "data.npz", **made)  # type: ignore[arg-type]
    runner = BenchRunner(tmp_path)
    text = f'{GRID}w = {{ model = "{model}.tflite", dataset = "data.npz" }}\n'
    run = runner.run(runner.write_config(text), "-n", "0")
    assert run.returncode == 4, run.output
    assert said in run.output


def test_random_steps_need_state(tmp_path: Path) -> None:
    (tmp_path / "plain.tflite").write_bytes(fully_connected(np.ones((4, 8), np.int8)))
    runner = BenchRunner(tmp_path)
    text = f'{GRID}w = {{ model = "plain.tflite", random_steps = 3 }}\n'
    run = runner.run(runner.write_config(text), "-n", "0")
    assert run.returncode != 0
    assert "random_steps = 3, but the model keeps no state" in run.output
