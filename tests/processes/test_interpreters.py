"""The reference interpreters: batches, state, agreement, refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from ai_edge_litert import schema_py_generated as schema

from bench.core.arrays import Array
from bench.core.errors import BenchError, ModelError
from bench.core.processes import Bounds, run_to_end
from bench.core.processes.servers import Server
from bench.tflite.interpreters import (
    Interpreter,
    InterpreterError,
    Interpreters,
    Request,
    run_litert,
    run_tflm,
)
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from tests.support.models.deadly import endless
from tests.support.models.tflite_factory import (
    Op,
    Tensor,
    fully_connected,
    mlp,
    model_bytes,
    single_operator,
)

ROOT = Path(__file__).resolve().parents[2]

Runner = Callable[[Path, Sequence[Array]], tuple[Array, ...]]
RUNNERS = pytest.mark.parametrize("run", [run_tflm, run_litert], ids=["tflm", "litert"])


def weights(outputs: int, inputs: int) -> npt.NDArray[np.int8]:
    return np.random.default_rng(0).integers(-127, 128, (outputs, inputs)).astype(np.int8)


def write(directory: Path, data: bytes) -> Path:
    path = directory / "net.tflite"
    path.write_bytes(data)
    return path


def two_in_two_out() -> bytes:
    """MAXIMUM and MINIMUM of a `[1, 2, 3]` and a `[1, 2, 3]`: exact in integers."""
    tensors = [Tensor(name, (1, 2, 3), scale=0.5) for name in ("a", "b", "max", "min")]
    options = [schema.MaximumMinimumOptionsT() for _ in range(2)]
    operators = [Op("MAXIMUM", (0, 1), (2,), options[0]), Op("MINIMUM", (0, 1), (3,), options[1])]
    return model_bytes(tensors, operators, [0, 1], [2, 3])


@RUNNERS
def test_a_batch_over_several_inputs_and_outputs(tmp_path: Path, run: Runner) -> None:
    path = write(tmp_path, two_in_two_out())
    a, b = random_inputs(inspect(path), 5, seed=1)
    largest, smallest = run(path, (a, b))
    assert largest.dtype == np.int8
    np.testing.assert_array_equal(largest, np.maximum(a, b))
    np.testing.assert_array_equal(smallest, np.minimum(a, b))


@RUNNERS
def test_arrays_in_any_memory_order_are_taken(tmp_path: Path, run: Runner) -> None:
    path = write(tmp_path, two_in_two_out())
    a, b = random_inputs(inspect(path), 4, seed=2)
    expected = run(path, (a, b))
    strided = run(path, (np.asfortranarray(a), np.repeat(b, 2, axis=0)[::2]))
    for left, right in zip(expected, strided, strict=True):
        np.testing.assert_array_equal(left, right)


@RUNNERS
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_every_quantised_dtype_passes_through(tmp_path: Path, run: Runner, dtype: str) -> None:
    tensors = [
        Tensor("x", (1, 8), dtype, 0.5),
        Tensor("shape", (3,), "int32", data=np.array([1, 2, 4], np.int32)),
        Tensor("y", (1, 2, 4), dtype, 0.5),
    ]
    op = Op("RESHAPE", (0, 1), (2,))
    path = write(tmp_path, single_operator(op, tensors[:2], tensors[2:]))
    (x,) = random_inputs(inspect(path), 3, seed=3)
    (y,) = run(path, (x,))
    assert y.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(y, x.reshape(3, 2, 4))


def test_the_interpreters_agree_within_a_rounding_step(tmp_path: Path) -> None:
    path = write(tmp_path, mlp([weights(16, 64), weights(10, 16)]))
    inputs = random_inputs(inspect(path), 50, seed=4)
    (exact,) = run_tflm(path, inputs)
    (fast,) = run_litert(path, inputs)
    # Constant answers would agree without meaning anything.
    assert len(np.unique(exact)) > 50
    assert np.abs(exact.astype(int) - fast.astype(int)).max() <= 2


def test_tflm_rounds_twice_as_its_kernels_document(tmp_path: Path) -> None:
    scale, bias, w = 0.01, np.arange(4), weights(4, 32)
    path = write(tmp_path, fully_connected(w, scale=scale))
    model = inspect(path)
    inputs = random_inputs(model, 40, seed=5)
    (got,) = run_tflm(path, inputs)
    accumulator = (inputs[0].astype(np.int64) + 128) @ w.T.astype(np.int64) + bias
    # The multiplier in TFLite's form: a 31-bit fraction and a power of two.
    weight_scale = np.float32(0.01)
    result_scale = np.float32(model.outputs[0].scales[0])
    real = np.float64(np.float32(scale) * weight_scale) / np.float64(result_scale)
    fraction, exponent = np.frexp(real)
    multiplier = round(float(fraction) * 2**31)
    assert exponent <= 0
    # Once in the doubling high multiply, once more in the shift.
    high = (accumulator * multiplier + 2**30) >> 31
    shift = -int(exponent)
    half = (1 << shift) >> 1
    shifted = np.sign(high) * ((np.abs(high) + half) >> shift)
    np.testing.assert_array_equal(got, np.clip(shifted, -128, 127))


@RUNNERS
def test_variables_start_afresh_for_every_row(tmp_path: Path, run: Runner) -> None:
    """A running sum in a variable: with state kept, equal rows would answer differently."""

    def handle() -> object:
        options = schema.VarHandleOptionsT()
        options.sharedName, options.container = b"sum", b""
        return options

    call = schema.CallOnceOptionsT()
    call.initSubgraphIndex = 1
    tensors = [
        Tensor("x", (1, 4), scale=0.5),
        Tensor("handle", (1,), "resource"),
        Tensor("old", (1, 4), scale=0.5),
        Tensor("new", (1, 4), scale=0.5),
    ]
    operators = [
        Op("CALL_ONCE", (), (), call),
        Op("VAR_HANDLE", (), (1,), handle()),
        Op("READ_VARIABLE", (1,), (2,), schema.ReadVariableOptionsT()),
        Op("ADD", (0, 2), (3,), schema.AddOptionsT(), version=2),
        Op("ASSIGN_VARIABLE", (1, 3), (), schema.AssignVariableOptionsT()),
    ]
    start = Tensor("start", (1, 4), scale=0.5, data=np.full((1, 4), 20, np.int8))
    once = (
        [Tensor("handle", (1,), "resource"), start],
        [
            Op("VAR_HANDLE", (), (0,), handle()),
            Op("ASSIGN_VARIABLE", (0, 1), (), schema.AssignVariableOptionsT()),
        ],
    )
    path = write(tmp_path, model_bytes(tensors, operators, [0], [3], once=once))
    assert inspect(path).has_state
    (y,) = run(path, (np.full((3, 4), 5, np.int8),))
    np.testing.assert_array_equal(y, np.full((3, 4), 25))


@RUNNERS
def test_inputs_that_do_not_fit_are_named(tmp_path: Path, run: Runner) -> None:
    path = write(tmp_path, two_in_two_out())
    good = np.zeros((2, 2, 3), np.int8)
    for bad, words in [
        ((good,), "it takes 2 inputs, 1 were given"),
        ((good, good.astype(np.int16)), r"'b' takes int8 \[n, 2, 3\], given int16"),
        ((good, good[:, :1]), r"given int8 \[2, 1, 3\]"),
        ((good, good[:1]), r"have \[1, 2\] rows"),
        ((good[:0], good[:0]), r"have \[0\] rows"),
    ]:
        with pytest.raises(ModelError, match=words):
            run(path, bad)


@RUNNERS
def test_a_model_with_foreign_operators_is_refused(tmp_path: Path, run: Runner) -> None:
    op = Op("CUSTOM", (0,), (1,), custom="ethos-u")
    tensors = [Tensor("x", (1, 4), scale=0.5)], [Tensor("y", (1, 4), scale=0.5)]
    path = write(tmp_path, single_operator(op, *tensors))
    with pytest.raises(ModelError, match=r"cannot run .*net\.tflite"):
        run(path, (np.zeros((1, 4), np.int8),))


@RUNNERS
def test_a_damaged_file_is_refused(tmp_path: Path, run: Runner) -> None:
    path = write(tmp_path, two_in_two_out()[:400])
    with pytest.raises(ModelError, match="truncated or damaged"):
        run(path, ())


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_random_inputs_cover_the_range_evenly(tmp_path: Path, dtype: str) -> None:
    tensors = [Tensor("x", (1, 64), dtype, 0.5)], [Tensor("y", (1, 64), dtype, 0.5)]
    model = inspect(write(tmp_path, single_operator(Op("RELU", (0,), (1,)), *tensors)))
    (x,) = random_inputs(model, 1000, seed=6)
    bounds = np.iinfo(dtype)
    assert (x.shape, x.dtype) == ((1000, 64), np.dtype(dtype))
    counts, _ = np.histogram(x, bins=16, range=(bounds.min, bounds.max + 1))
    # 4000 expected a bin; five standard deviations are 306.
    assert np.abs(counts - 4000).max() < 306
    if dtype != "int16":
        assert set(np.unique(x)) == set(range(bounds.min, bounds.max + 1))


def test_random_inputs_are_the_same_for_good(tmp_path: Path) -> None:
    model = inspect(write(tmp_path, two_in_two_out()))
    first, again, other = (random_inputs(model, 2, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != other[0]).any()
    assert (first[0] != first[1]).any()
    # The raw PCG64 stream, which NumPy guarantees, byte for byte.
    expected = np.random.PCG64(7).random_raw(2).astype("<u8").view(np.int8)[:12]
    np.testing.assert_array_equal(first[0].reshape(-1), expected)


def test_random_inputs_refuse_a_float_model(tmp_path: Path) -> None:
    tensors = [Tensor("x", (1, 8), "float32")], [Tensor("y", (1, 8), "float32")]
    model = inspect(write(tmp_path, single_operator(Op("TANH", (0,), (1,)), *tensors)))
    with pytest.raises(ModelError, match="'x' has dtype float32"):
        random_inputs(model, 1, seed=0)


def zoo() -> list[Path]:
    directory = os.environ.get("BENCH_MODEL_ZOO")
    return sorted(Path(directory).glob("*.tflite")) if directory else []


@pytest.mark.skipif(
    not zoo(),
    reason="BENCH_MODEL_ZOO is not set to a directory of .tflite models: real models are NOT run",
)
@pytest.mark.parametrize("path", zoo(), ids=lambda path: path.stem)
def test_real_models_answer_alike_in_both(path: Path) -> None:
    inputs = random_inputs(inspect(path), 3, seed=9)
    (exact,) = run_tflm(path, inputs)
    (reference,) = run_litert(path, inputs)
    difference = np.abs(exact.astype(int) - reference.astype(int))
    # LiteRT rounds once in some kernels; a softmax can blow one step up on a few elements.
    assert (difference <= 1).mean() > 0.8


def test_random_inputs_of_a_shape_nobody_means_are_refused(tmp_path: Path) -> None:
    """A file of some 460 bytes; its inputs would fill 40 GB."""
    tensors = [Tensor(name, (1, 2**31 - 1), scale=0.5) for name in ("x", "y")]
    data = single_operator(Op("RELU", (0,), (1,)), tensors[:1], tensors[1:])
    assert len(data) < 500
    path = write(tmp_path, data)
    with pytest.raises(ModelError, match=r"20 random inputs of int8 \[1, 2147483647\]"):
        random_inputs(inspect(path), 20, seed=1)
    several = [Tensor(name, (1, 100 << 20), scale=0.5) for name in ("a", "b", "c", "y")]
    three = single_operator(Op("CONCATENATION", (0, 1, 2), (3,)), several[:3], several[3:])
    with pytest.raises(ModelError, match="'c'"):
        random_inputs(inspect(write(tmp_path, three)), 1, seed=1)


# --- The child ---------------------------------------------------------------------------------


def request(seed: int = 0) -> Request:
    rows = np.zeros((2, 1, 1, 16), np.int8)
    model = mlp([np.full((4, 16), seed, np.int8)])
    return Request(Interpreter.TFLM, model, (rows,), 1, fresh=False)


def test_a_child_that_somebody_killed_is_replaced_without_a_word() -> None:
    with Interpreters() as interpreters:
        interpreters.run(request())
        first = interpreters.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        interpreters.run(request())
        assert interpreters.pid != first


@pytest.mark.parametrize("interpreter", Interpreter)
def test_a_child_that_somebody_starves_says_nothing_about_the_model(
    interpreter: Interpreter,
) -> None:
    with Interpreters() as interpreters:
        small = replace(request(), interpreter=interpreter)
        expected = interpreters.run(small)
        first = interpreters.pid
        psutil.Process(first).rlimit(psutil.RLIMIT_DATA, (1 << 20, 1 << 20))
        # Another model, of more memory than the child may still take.
        large = replace(small, model=mlp([np.zeros((400_000, 16), np.int8)]))
        (answer,) = interpreters.run(large)
        assert answer.shape[-1] == 400_000
        assert interpreters.pid != first
        np.testing.assert_array_equal(interpreters.run(small)[0], expected[0])


def test_children_that_are_killed_again_and_again_say_nothing_about_the_model() -> None:
    with Interpreters() as interpreters:
        dying = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        interpreters._server = Server([sys.executable, "-c", dying])
        with pytest.raises(BenchError, match="ended with SIGKILL, and so did another") as caught:
            interpreters.run(request())
    assert not isinstance(caught.value, InterpreterError)


def test_a_fork_has_a_child_of_its_own_and_leaves_ours_alone() -> None:
    script = """
import os, sys
from bench.tflite.interpreters import shared_interpreters
from tests.processes.test_interpreters import request
shared_interpreters().run(request())
first = shared_interpreters().pid
fork = os.fork()
if fork == 0:
    shared_interpreters().run(request())
    sys.exit(7 if shared_interpreters().pid != first else 1)
print(os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]))
shared_interpreters().run(request())
print(shared_interpreters().pid == first)
"""
    done = run_to_end([sys.executable, "-c", script], Bounds(120), cwd=ROOT)
    assert done.output == "7\nTrue\n", done.errors


def test_an_endless_model_ends_with_the_worker_that_runs_it(tmp_path: Path) -> None:
    path = write(tmp_path, endless())
    script = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from bench.tflite.interpreters import run_tflm, shared_interpreters\n"
        "inputs = [np.zeros((1, 4), np.int8)]\n"
        "thread = threading.Thread(target=run_tflm, args=(Path(sys.argv[1]), inputs))\n"
        "thread.start()\n"
        "while shared_interpreters().pid is None: pass\n"
        "print(shared_interpreters().pid, flush=True)\n"
        "thread.join()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        child = psutil.Process(int(worker.stdout.readline()))
        # It has imported what it needs and computes.
        while child.cpu_times().user < 1.5:
            time.sleep(0.05)
        worker.kill()
    assert child.wait(5) is None or not child.is_running()
