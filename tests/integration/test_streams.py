"""Networks with state as streams: each step answers as the reference interpreter's stream does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_micro.python.tflite_micro import runtime

from bench.compiler import VelaOptions, compile_model
from bench.core.arrays import Array
from bench.tflite.interpreters import run_tflm
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from bench.tflite.reference import ReferenceRunner
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.fvp.target import FvpTarget
from targets.mps3.batching import Work, pack
from targets.settings.fvp import FvpSettings
from targets.sim import SimulatorTarget
from targets.simulator.simulator import Simulator
from tests.operators.network import Network, Value, handle_options
from tests.operators.streaming import both, keyword_spotter, lstm, wake_word
from tests.support.fvp.stand_ins import write_fvp
from tests.support.models.compiled_jobs import compiled_job
from tests.support.models.tflite_factory import Op, Tensor, model_bytes

STREAMS, STEPS = 3, 60


def write(directory: Path, build: Callable[[Network], Value]) -> Path:
    network = Network(5)
    path = directory / "model.tflite"
    path.write_bytes(network.serialise([build(network)]))
    return path


def simulator(model: Path, accelerator: Accelerator) -> Simulator:
    options = VelaOptions(accelerator=accelerator, memory_mode=MemoryMode.SHARED_SRAM)
    return Simulator(compile_model(model, options, model.parent).path(model.parent))


def streams(model: Path, count: int = STREAMS, steps: int = STEPS) -> Array:
    """`[streams, steps, ...]`."""
    (flat,) = random_inputs(inspect(model), count * steps, seed=3)
    return flat.reshape(count, steps, *flat.shape[1:])


@pytest.mark.parametrize(
    "build", [lstm, keyword_spotter, wake_word, both], ids=lambda build: build.__name__
)
def test_every_step_answers_as_the_reference_does(
    tmp_path: Path, build: Callable[[Network], Value]
) -> None:
    model = write(tmp_path, build)
    inputs = streams(model)
    (expected,) = run_tflm(model, [inputs])
    for accelerator in (Accelerator.U55_32, Accelerator.U55_256):
        (outputs,) = simulator(model, accelerator).run([inputs]).outputs
        np.testing.assert_array_equal(outputs, expected)
    # The last step would answer otherwise without what came before it.
    (fresh,) = run_tflm(model, [inputs[:, -1]])
    assert (fresh != expected[:, -1]).any()
    np.testing.assert_array_equal(run_tflm(model, [inputs[:, 0]])[0], expected[:, 0])


def test_a_reference_stream_is_one_interpreter_invoked_again_and_again(tmp_path: Path) -> None:
    model = write(tmp_path, both)
    inputs = streams(model, steps=5)
    (outputs,) = run_tflm(model, [inputs])
    for row in range(STREAMS):
        interpreter = runtime.Interpreter.from_file(str(model))
        for step in range(5):
            interpreter.set_input(inputs[row, step : step + 1], 0)
            interpreter.invoke()
            np.testing.assert_array_equal(outputs[row, step], interpreter.get_output(0)[0])


def test_rows_of_a_batch_do_not_share_state(tmp_path: Path) -> None:
    model = write(tmp_path, wake_word)
    inputs = streams(model, steps=2)
    simulated = simulator(model, Accelerator.U55_128)
    (outputs,) = simulated.run([inputs]).outputs
    for row in range(STREAMS):
        (alone,) = simulated.run([inputs[row : row + 1]]).outputs
        np.testing.assert_array_equal(alone[0], outputs[row])
    np.testing.assert_array_equal(simulated.run([inputs[:, 0]]).outputs[0], outputs[:, 0])


@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -7), ("int8", 5), ("int16", 0)])
def test_what_is_read_before_call_once_is_real_zero(dtype: str, zero_point: int) -> None:
    """TFLite-Micro does so, and the simulator relies on it: Vela moves reads before CALL_ONCE."""
    once = schema.CallOnceOptionsT()
    once.initSubgraphIndex = 1
    assign = schema.AssignVariableOptionsT()
    tensors = [
        Tensor("x", (1, 4), dtype, 0.5, zero_point),
        Tensor("handle", (), "resource"),
        Tensor("y", (1, 4), dtype, 0.5, zero_point),
    ]
    operators = [
        Op("VAR_HANDLE", (), (1,), handle_options("v")),
        Op("READ_VARIABLE", (1,), (2,), schema.ReadVariableOptionsT()),
        Op("CALL_ONCE", (), (), once),
        Op("ASSIGN_VARIABLE", (1, 0), (), assign),
    ]
    start = Tensor("start", (1, 4), dtype, data=np.full((1, 4), 9, dtype))
    beginning = (
        [Tensor("handle", (), "resource"), start],
        [
            Op("VAR_HANDLE", (), (0,), handle_options("v")),
            Op("ASSIGN_VARIABLE", (0, 1), (), assign),
        ],
    )
    model = model_bytes(tensors, operators, [0], [2], once=beginning)
    interpreter = runtime.Interpreter.from_bytes(model)
    interpreter.set_input(np.full((1, 4), 20, dtype), 0)
    seen = []
    for _ in range(2):
        interpreter.invoke()
        seen.append(int(interpreter.get_output(0)[0, 0]))
    assert seen == [zero_point, 20]


def test_state_that_does_not_start_at_zero_is_a_mismatch_until_it_is_forgotten(
    tmp_path: Path,
) -> None:
    """Vela's output starts otherwise than its input. That is not hidden."""
    model = write(tmp_path, lambda network: wake_word(network, start=40))
    inputs = streams(model)
    (expected,) = run_tflm(model, [inputs])
    (outputs,) = simulator(model, Accelerator.U55_128).run([inputs]).outputs
    assert (outputs[:, 0] != expected[:, 0]).any(), "Vela keeps CALL_ONCE first now"
    np.testing.assert_array_equal(outputs[:, 9:], expected[:, 9:])


def test_the_virtual_fvp_runs_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    model = write(tmp_path, lstm)
    inputs = streams(model, count=2)
    job = compiled_job(
        model,
        tmp_path,
        accelerator=Accelerator.U55_128,
        memory_mode=MemoryMode.SHARED_SRAM,
        rows=1,
    )
    job = replace(job, inputs=(inputs,))
    # Fewer inferences a process than a stream has steps: a stream is not cut.
    settings = {"executable": str(write_fvp(tmp_path / "fvp")), "inferences_per_process": 7}
    target = FvpTarget(FvpSettings.model_validate(settings), tmp_path / "logs", ReferenceRunner())
    measured = target.run(job)
    np.testing.assert_array_equal(measured.outputs[0], run_tflm(model, [inputs])[0])
    assert measured.counters == SimulatorTarget().run(job).counters
    assert len(list((tmp_path / "logs" / job.cell_id).iterdir())) == 2


def test_a_board_repeats_a_stream_from_its_start(tmp_path: Path) -> None:
    model = write(tmp_path, lstm)
    job = compiled_job(
        model,
        tmp_path,
        accelerator=Accelerator.U55_128,
        memory_mode=MemoryMode.SHARED_SRAM,
        rows=1,
    )
    work = Work(0, replace(job, inputs=(streams(model, steps=4),)), repetitions=1)
    first = pack([work], image_bytes=1)
    assert [unit.row for unit in first.units] == [0, 1, 2, 3], "streams go together"
    state = [work.device_job(row).clear_arena for row in range(8)]
    assert state == [True, False, False, False] * 2
