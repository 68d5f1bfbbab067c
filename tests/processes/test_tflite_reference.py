"""Who says what a correct NPU must answer; what becomes of a refusal or a death."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from bench.cache import ArtefactCache
from bench.core.arrays import Array
from bench.core.fingerprint import read_source_tree
from bench.core.processes import Bounds
from bench.measuring.products import ProductStore
from bench.measuring.reference import CachedReference, compare_outputs
from bench.tflite.interpreters import INTERPRETER_BOUNDS, run_tflm
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from bench.tflite.reference import ReferenceOutputs, ReferenceRunner
from tests.support.models import deadly
from tests.support.models.tflite_factory import Op, Tensor, mlp, model_bytes, single_operator

MIB = 1 << 20


def write(directory: Path, data: bytes) -> Path:
    path = directory / "net.tflite"
    path.write_bytes(data)
    return path


def reference(path: Path, bounds: Bounds = INTERPRETER_BOUNDS, rows: int = 4) -> ReferenceOutputs:
    return ReferenceRunner(bounds)(path, random_inputs(inspect(path), rows, seed=1))


def healthy(seed: int = 0) -> bytes:
    weights = np.random.default_rng(seed).integers(-127, 128, (10, 16)).astype(np.int8)
    return mlp([weights])


def test_tflite_micro_is_the_reference_of_what_it_runs(tmp_path: Path) -> None:
    path = write(tmp_path, healthy())
    inputs = random_inputs(inspect(path), 4, seed=1)
    answer = ReferenceRunner()(path, inputs)
    np.testing.assert_array_equal(answer.outputs[0], run_tflm(path, inputs)[0])
    assert answer.interpreter.startswith("tflite-micro ")
    assert answer.inexact == answer.absent == ""


@pytest.mark.parametrize(
    ("model", "bounds", "words"),
    [
        (
            deadly.softmax_of_nothing(),
            INTERPRETER_BOUNDS,
            "TFLite-Micro ended with SIGABRT on net (operator 1, SOFTMAX)",
        ),
        (
            deadly.lost_bias(),
            INTERPRETER_BOUNDS,
            "TFLite-Micro ended with SIGSEGV on net (operator 0, DEPTHWISE_CONV_2D)",
        ),
        (deadly.endless(), Bounds(2, 2048 * MIB), "TFLite-Micro did not end within 2 s on net"),
        # Less than TFLite-Micro's arena.
        (
            healthy(seed=1),
            Bounds(60, 200 * MIB),
            "TFLite-Micro wanted more memory than the 200 MiB it may have on net",
        ),
        # What fits once does not fit with its copies.
        (
            deadly.tile(8000),
            Bounds(60, 600 * MIB),
            "LiteRT wanted more memory than the 600 MiB it may have on net (operator 0, TILE)",
        ),
        (
            deadly.tile(80_000),
            INTERPRETER_BOUNDS,
            "TFLite-Micro wants more memory than the 4,096 MiB it may have, 24,414 MiB for one "
            "tensor, on net",
        ),
    ],
    ids=["SIGABRT", "SIGSEGV", "hang", "memory", "memory of a copy", "huge shape"],
)
def test_an_interpreters_death_is_a_finding_and_the_next_model_runs(
    tmp_path: Path, model: bytes, bounds: Bounds, words: str
) -> None:
    start = time.monotonic()
    answer = reference(write(tmp_path, model), bounds, rows=1 if "600" in words else 4)
    assert answer.absent == words
    # Far from the bound that interpreters have of themselves.
    assert time.monotonic() - start < INTERPRETER_BOUNDS.seconds / 3
    assert answer.outputs == ()
    record, reason = compare_outputs([np.zeros((4, 8), np.int8)], answer)
    assert record is None
    assert reason == words
    assert reference(write(tmp_path, healthy())).absent == ""


def test_the_outputs_of_many_rows_are_in_nobodys_memory(tmp_path: Path) -> None:
    """Each row is small, all of them are more than the interpreter may have."""
    rows, most = 42, 600 * MIB
    answer = reference(write(tmp_path, deadly.tile(2000)), Bounds(60, most), rows)
    assert answer.absent == ""
    assert answer.outputs[0].nbytes > most
    given = random_inputs(inspect(tmp_path / "net.tflite"), rows, seed=1)[0]
    for row in (0, rows // 2, rows - 1):
        np.testing.assert_array_equal(answer.outputs[0][row], np.tile(given[row], (500, 500, 1)))


def test_an_operator_that_rounds_nothing_is_exact_in_litert_too(tmp_path: Path) -> None:
    path = write(tmp_path, deadly.most_likely("int64"))
    inputs = random_inputs(inspect(path), 30, seed=1)
    answer = ReferenceRunner()(path, inputs)
    # What TFLite-Micro itself says where it has the kernel.
    expected = run_tflm(write(tmp_path, deadly.most_likely("int32")), inputs)
    np.testing.assert_array_equal(answer.outputs[0], expected[0])
    assert answer.outputs[0].dtype == np.int64
    assert len(np.unique(answer.outputs[0])) > 3
    micro, _, lite = answer.interpreter.partition(", with ARG_MAX by ")
    assert micro.startswith("tflite-micro ")
    assert lite.startswith("ai-edge-litert ")
    assert answer.inexact == answer.absent == ""


def test_a_whole_model_without_kernels_is_litert_alone(tmp_path: Path) -> None:
    path = write(tmp_path, deadly.tile(12))
    inputs = random_inputs(inspect(path), 3, seed=1)
    answer = ReferenceRunner()(path, inputs)
    np.testing.assert_array_equal(answer.outputs[0], np.tile(inputs[0], (1, 3, 3, 1)))
    assert answer.interpreter.startswith("ai-edge-litert ")
    assert answer.inexact == ""


def test_what_computes_is_not_exact_in_litert_and_judges_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, deadly.gelu())
    answer = reference(path)
    assert answer.inexact == "LiteRT, not exact: GELU"
    assert answer.interpreter.startswith("tflite-micro ")
    assert ", with GELU by ai-edge-litert " in answer.interpreter
    record, reason = compare_outputs([answer.outputs[0] ^ 1], answer)
    assert reason == ""
    assert record is not None
    assert (record.inexact, record.mismatches, record.largest) == (answer.inexact, 32, 1)


def test_a_rescaling_copy_is_not_exact(tmp_path: Path) -> None:
    """Moving values from one scale to another is arithmetic again."""
    copies = np.array([1, 2], np.int32)
    tensors = [Tensor("x", (1, 4), scale=0.5), Tensor("copies", (2,), "int32", data=copies)]
    op = Op("TILE", (0, 1), (2,), schema.TileOptionsT())
    path = write(tmp_path, single_operator(op, tensors, [Tensor("y", (1, 8), scale=0.25)]))
    assert reference(path).inexact == "LiteRT, not exact: TILE"


def test_a_model_that_cannot_be_cut_is_given_to_litert_whole(tmp_path: Path) -> None:
    def handle() -> object:
        options = schema.VarHandleOptionsT()
        options.sharedName, options.container = b"sum", b""
        return options

    tensors = [
        Tensor("x", (1, 4), scale=0.5),
        Tensor("handle", (1,), "resource"),
        Tensor("y", (1, 4), scale=0.5),
    ]
    operators = [
        Op("GELU", (0,), (2,), schema.GeluOptionsT()),
        Op("VAR_HANDLE", (), (1,), handle()),
        Op("ASSIGN_VARIABLE", (1, 2), (), schema.AssignVariableOptionsT()),
    ]
    path = write(tmp_path, model_bytes(tensors, operators, [0], [2]))
    answer = reference(path)
    assert answer.interpreter.startswith("ai-edge-litert ")
    assert answer.inexact.startswith("LiteRT, not exact (Didn't find op for builtin opcode 'GELU'")
    assert answer.outputs[0].shape == (4, 4)


@pytest.mark.parametrize("cut", [True, False], ids=["in pieces", "whole"])
def test_what_nobody_runs_has_no_reference_and_the_operator_is_named(
    tmp_path: Path, cut: bool
) -> None:
    tensors = [Tensor(name, (1, 4), scale=0.5) for name in ("x", "between", "y")]
    operators = [Op("RELU", (0,), (1,)), Op("CUSTOM", (1,), (2,), custom="nobody-knows-this")]
    if not cut:
        operators.append(Op("CALL_ONCE", (), (), schema.CallOnceOptionsT()))
    path = write(tmp_path, model_bytes(tensors, operators, [0], [2]))
    answer = reference(path)
    assert answer.outputs == ()
    assert "nobody-knows-this" in answer.absent
    assert "TFLite-Micro" in answer.absent
    assert "LiteRT" in answer.absent
    assert ("operator 1, nobody-knows-this" in answer.absent) is cut


@pytest.mark.parametrize("cut", [True, False], ids=["in pieces", "whole"])
def test_a_name_that_an_interpreter_repeats_commands_no_terminal(tmp_path: Path, cut: bool) -> None:
    """Refusing an operator, LiteRT repeats its name as it is, on two lines."""
    tensors = [Tensor(name, (1, 4), scale=0.5) for name in ("x", "y")]
    operators = [Op("CUSTOM", (0,), (1,), custom="odd\x1b[2J\u202e")]
    if not cut:
        operators.append(Op("CALL_ONCE", (), (), schema.CallOnceOptionsT()))
    answer = reference(write(tmp_path, model_bytes(tensors, operators, [0], [1])))
    assert "odd" in answer.absent
    assert answer.absent.isprintable()


def store(directory: Path) -> ProductStore:
    return ProductStore(ArtefactCache(directory / "cache"), read_source_tree(), lambda event: None)


class Counting:
    """A reference that counts how often it is asked."""

    def __init__(self, bounds: Bounds = INTERPRETER_BOUNDS) -> None:
        self.runner = ReferenceRunner(bounds)
        self.asked = 0

    def fingerprint(self) -> dict[str, str]:
        return dict(self.runner.fingerprint())

    def __call__(self, model: Path, inputs: Sequence[Array]) -> ReferenceOutputs:
        self.asked += 1
        return self.runner(model, inputs)


@pytest.mark.parametrize("model", [deadly.softmax_of_nothing(), deadly.gelu(), healthy()])
def test_what_the_reference_says_or_dies_of_is_kept(tmp_path: Path, model: bytes) -> None:
    path = write(tmp_path, model)
    inputs = random_inputs(inspect(path), 2, seed=1)
    answers = []
    counting = Counting()
    for _ in range(3):
        # Another worker, or the next run: nothing is shared but the cache.
        cached = CachedReference(counting, store(tmp_path))
        answers.append(cached(path, inputs))
    assert counting.asked == 1
    assert counting.fingerprint() == cached.fingerprint()
    first = ReferenceRunner()(path, inputs)
    for answer in answers:
        assert (answer.interpreter, answer.inexact, answer.absent) == (
            first.interpreter,
            first.inexact,
            first.absent,
        )
        for got, want in zip(answer.outputs, first.outputs, strict=True):
            np.testing.assert_array_equal(got, want)
    # Who allows more wants to know anew.
    patient = Counting(Bounds(500, 8 << 30))
    CachedReference(patient, store(tmp_path))(path, inputs)
    assert patient.asked == 1
