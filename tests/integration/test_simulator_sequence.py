"""State from one inference to the next, as TFLite-Micro keeps it between invocations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tflite_micro.python.tflite_micro import runtime

from bench.compiler import VelaOptions, compile_model
from bench.core.arrays import Array
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.simulator import Simulator
from tests.operators.case import Case
from tests.operators.recurrent import fused_lstm

ROWS, STEPS = 3, 5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One step of an LSTM whose state is in variables."""
    case = Case("lstm/sequence", lambda n: fused_lstm(n, n.input((1, 1, 6)), 8))
    path = tmp_path_factory.mktemp("lstm") / "lstm.tflite"
    path.write_bytes(case.model())
    return path


@pytest.fixture(scope="module", params=list(Accelerator), ids=lambda mac: mac.slug)
def simulator(
    model: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Simulator:
    options = VelaOptions(accelerator=request.param, memory_mode=MemoryMode.SHARED_SRAM)
    directory = tmp_path_factory.mktemp("compiled")
    return Simulator(compile_model(model, options, directory).path(directory))


@pytest.fixture(scope="module")
def inputs(model: Path) -> Array:
    """`[rows, steps, 1, 6]`."""
    (flat,) = random_inputs(inspect(model), ROWS * STEPS, seed=3)
    return flat.reshape(ROWS, STEPS, *flat.shape[1:])


def test_a_sequence_answers_as_tflite_micro_does(
    model: Path, simulator: Simulator, inputs: Array
) -> None:
    outputs = simulator.run_sequence([inputs]).outputs[0]
    for row in range(ROWS):
        interpreter = runtime.Interpreter.from_file(str(model))
        for step in range(STEPS):
            interpreter.set_input(inputs[row, step : step + 1], 0)
            interpreter.invoke()
            np.testing.assert_array_equal(outputs[row, step], interpreter.get_output(0)[0])


def test_rows_of_a_batch_do_not_share_state(simulator: Simulator, inputs: Array) -> None:
    first_steps = inputs[:, 0]
    batch = simulator.run([first_steps]).outputs[0]
    np.testing.assert_array_equal(batch, simulator.run_sequence([inputs]).outputs[0][:, 0])
    # The last step would answer otherwise without what came before it.
    fresh = simulator.run([inputs[:, -1]]).outputs[0]
    assert (fresh != simulator.run_sequence([inputs]).outputs[0][:, -1]).any()
