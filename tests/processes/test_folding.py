"""What a model computes of constants is computed once, and its outputs stay the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.tflite.folding import Folded, computes_constants, fold
from bench.tflite.graph import FileGraph, TensorInfo
from bench.tflite.interpreters import (
    Interpreter,
    Request,
    run_litert,
    run_tflm,
    shared_interpreters,
)
from bench.tflite.model_file import check_quantised, inspect, load_quantised
from bench.tflite.random_inputs import random_inputs
from bench.tflite.reader import read_graph
from bench.tflite.sparsity import dense_constant
from tests.support.models.foldable import (
    flattened,
    shape_of_data,
    sparse_convolution,
    sparse_dense,
    sparse_tensor,
    two_open_inputs,
)
from tests.support.models.tflite_factory import Op, Tensor, mlp, model_bytes, single_operator

ROWS = 40


def write(directory: Path, model: bytes) -> Path:
    path = directory / "user's.tflite"
    path.write_bytes(model)
    return path


def folded(path: Path) -> tuple[Folded, FileGraph]:
    graph = read_graph(path)
    assert computes_constants(graph)
    made = fold(graph, path)
    result = path.with_name("folded.tflite")
    result.write_bytes(made.data)
    return made, read_graph(result)


def operators(graph: FileGraph) -> list[str]:
    return [node.info.name for node in graph.operators]


def inputs_of(path: Path) -> tuple[Array, ...]:
    return random_inputs(inspect(path), ROWS, seed=3)


@pytest.mark.parametrize(
    ("model", "left"),
    [
        (flattened(), ["RESHAPE", "FULLY_CONNECTED"]),
        (two_open_inputs(), ["ADD", "ADD"]),
    ],
    ids=["one input", "two inputs"],
)
def test_an_open_batch_is_fixed_and_the_outputs_stay(
    model: bytes, left: list[str], tmp_path: Path
) -> None:
    path = write(tmp_path, model)
    made, graph = folded(path)
    assert operators(graph) == left
    assert all(min(tensor.shape_signature, default=0) >= 0 for tensor in used(graph))
    after = tmp_path / "folded.tflite"
    rows = inputs_of(path)
    for one, other in zip(run_litert(path, rows), run_litert(after, rows), strict=True):
        assert len(np.unique(one)) > 10
        np.testing.assert_array_equal(one, other)
    # The reference of the bench cannot run the one, and can run the other.
    run_tflm(after, rows)
    names = ", ".join(read_graph(path).tensors[i].name for i in graph.inputs)
    assert made.changes[0] == f"the open batch of {names} is fixed to 1"
    assert "SHAPE" in made.changes[1]


def used(graph: FileGraph) -> list[TensorInfo]:
    indices = {i for node in graph.operators for i in (*node.inputs, *node.outputs) if i >= 0}
    return [graph.tensors[i] for i in indices]


@pytest.mark.parametrize(
    ("model", "dense"),
    [
        sparse_dense(),
        sparse_dense((4, 4)),
        sparse_dense((1, 16)),
        sparse_dense((1, 16), densify=False),
        sparse_dense(densify=False),
        sparse_convolution(),
    ],
    ids=["dense", "blocks", "rows", "kernel of rows", "kernel of values", "convolution"],
)
def test_what_is_stored_sparse_becomes_dense(model: bytes, dense: Array, tmp_path: Path) -> None:
    path = write(tmp_path, model)
    made, graph = folded(path)
    (layer,) = graph.operators
    weights = graph.constants[layer.inputs[1]]
    assert weights is not None
    np.testing.assert_array_equal(weights.view(np.int8).reshape(dense.shape), dense)
    assert not any(tensor.is_sparse for tensor in graph.tensors)
    assert made.changes == ("1 constants that were stored sparse are stored dense",)
    rows = inputs_of(path)
    (after,) = run_tflm(tmp_path / "folded.tflite", rows)
    assert len(np.unique(after)) > 10
    if "DENSIFY" in operators(read_graph(path)):
        (before,) = run_litert(path, rows)
        np.testing.assert_array_equal(before, run_litert(tmp_path / "folded.tflite", rows)[0])


def test_all_else_in_the_file_stays(tmp_path: Path) -> None:
    path = write(tmp_path, flattened())
    _, graph = folded(path)
    before = read_graph(path)
    assert (graph.inputs, graph.outputs) == (before.inputs, before.outputs)
    for one, other in zip(before.tensors, graph.tensors, strict=True):
        assert (one.name, one.dtype, one.scales, one.zero_points) == (
            other.name, other.dtype, other.scales, other.zero_points,
        )  # fmt: skip
    weights = [constant for constant in before.constants if constant is not None][-2]
    assert any(c is not None and c.tobytes() == weights.tobytes() for c in graph.constants)


@pytest.mark.parametrize(
    "model",
    [
        mlp([np.ones((4, 8), np.int8)], softmax=True),
        # An open batch that nothing computes with: Vela takes it as 1.
        single_operator(
            Op("TANH", (0,), (1,)),
            [Tensor("x", (1, 8), scale=0.05, signature=(-1, 8))],
            [Tensor("y", (1, 8), scale=1 / 128, signature=(-1, 8))],
        ),
        # A height that is open cannot be chosen.
        flattened((-1, -1, 4, 2)),
        flattened((1, 4, -1, 2)),
        # What Vela wrote is compiled.
        model_bytes(
            [Tensor("x", (1, 8), scale=0.5, signature=(-1, 8)), Tensor("s", (2,), "int32"),
             Tensor("y", (1, 8), scale=0.5)],
            [Op("SHAPE", (0,), (1,)), Op("CUSTOM", (0, 1), (2,), custom="ethos-u")],
            [0],
            [2],
        ),
    ],
    ids=["plain", "open and unread", "open height", "open width", "compiled"],
)  # fmt: skip
def test_what_computes_no_constants_stays_as_it_is(model: bytes, tmp_path: Path) -> None:
    assert not computes_constants(read_graph(write(tmp_path, model)))


def test_an_open_height_is_refused_with_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, flattened((-1, -1, 4, 2)))
    with pytest.raises(ModelError) as caught:
        load_quantised(path)
    assert "'picture' has a dynamic shape [-1, -1, 4, 2]" in caught.value.what
    assert "fixed input shape" in caught.value.cure


def test_a_shape_made_of_data_is_not_taken_for_a_constant(tmp_path: Path) -> None:
    assert not computes_constants(read_graph(write(tmp_path, shape_of_data())))


def test_the_folded_model_is_one_that_the_bench_takes(tmp_path: Path) -> None:
    path = write(tmp_path, flattened())
    made, _ = folded(path)
    model = check_quantised(made.data, path)
    assert model.inputs[0].shape_signature == (1, 4, 4, 2)
    assert model.outputs[0].shape_signature == (1, 10)


def _beyond(dimension: Any) -> None:
    dimension.arrayIndices.values[3] = 1000


def _below(dimension: Any) -> None:
    dimension.arrayIndices.values[3] = -1


def _too_long(dimension: Any) -> None:
    dimension.arraySegments.values[3] = 5_000_000


def _backwards(dimension: Any) -> None:
    dimension.arraySegments.values[3:5] = dimension.arraySegments.values[4:2:-1]


def _too_few(dimension: Any) -> None:
    dimension.arraySegments.values = dimension.arraySegments.values[:3]


def _twice(dimension: Any) -> None:
    dimension.arrayIndices.values[1] = dimension.arrayIndices.values[0]


def _none(dimension: Any) -> None:
    dimension.arrayIndices = None
    dimension.arrayIndicesType = 0


@pytest.mark.parametrize(
    "damage", [_beyond, _below, _too_long, _backwards, _too_few, _twice, _none]
)
def test_damaged_indices_are_refused_with_the_option_to_leave_out(
    damage: Callable[[Any], None], tmp_path: Path
) -> None:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(sparse_dense()[0], 0))
    dimension = model.subgraphs[0].tensors[1].sparsity.dimMetadata[-1]
    for vector in (dimension.arraySegments, dimension.arrayIndices):
        vector.values = vector.values.copy()
    damage(dimension)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = write(tmp_path, bytes(builder.Output()))
    with pytest.raises(ModelError) as caught:
        folded(path)
    first = caught.value.what.splitlines()[0]
    assert first.startswith(f"{path}: its weights are stored sparse, and cannot be made dense: ")
    assert "EXPERIMENTAL_SPARSITY" in caught.value.cure


@st.composite
def sparse_constants(draw: st.DrawFn) -> tuple[Array, tuple[int, ...]]:
    rank = draw(st.integers(1, 4))
    block = draw(st.tuples(*[st.integers(1, 3)] * rank))
    shape = tuple(b * draw(st.integers(1, 4)) for b in block)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    dense = rng.integers(-128, 128, shape).astype(np.int8)
    zeros = rng.random(shape) < draw(st.floats(0, 1))
    # A buffer of no bytes is no constant.
    zeros.flat[0], dense.flat[0] = False, 1
    return np.where(zeros, 0, dense).astype(np.int8), draw(st.sampled_from([(), block]))


@settings(max_examples=60, deadline=None)
@given(sparse_constants())
def test_any_sparse_constant_is_what_litert_makes_of_it(
    case: tuple[Array, tuple[int, ...]],
) -> None:
    dense, block = case
    tensors = [
        Tensor("x", (1, *dense.shape[1:]), scale=0.1),
        sparse_tensor("stored", dense, 0.1, block),
        Tensor("spread", dense.shape, scale=0.1),
        Tensor("y", dense.shape, scale=0.2),
    ]
    operators = [
        Op("DENSIFY", (1,), (2,), schema.DensifyOptionsT()),
        Op("ADD", (0, 2), (3,), schema.AddOptionsT(), version=2),
    ]
    model = model_bytes(tensors, operators, [0], [2])
    with tempfile.TemporaryDirectory() as directory:
        path = write(Path(directory), model)
        np.testing.assert_array_equal(dense_constant(read_graph(path), 1), dense)
        (spread,) = shared_interpreters().run(
            Request(
                Interpreter.LITERT,
                model,
                (np.zeros((1, 1, 1, *dense.shape[1:]), np.int8),),
                1,
                False,
            )
        )
        np.testing.assert_array_equal(spread[0, 0], dense)


def test_an_open_batch_that_cannot_be_fixed_says_how_to_convert(tmp_path: Path) -> None:
    tensors = [Tensor("a", (1, 4), scale=0.5, signature=(-1, 4)), Tensor("s", (2,), "int32"),
               Tensor("two", (2,), "int32", data=np.array([3, 3], np.int32)),
               Tensor("t", (4, 4), "int32"), Tensor("y", (1, 4), scale=0.5)]  # fmt: skip
    operators = [Op("SHAPE", (0,), (1,), schema.ShapeOptionsT()),
                 Op("RESHAPE", (1, 2), (3,)), Op("RESHAPE", (0, 3), (4,))]  # fmt: skip
    path = write(tmp_path, model_bytes(tensors, operators, [0], [4]))
    with pytest.raises(ModelError) as caught:
        folded(path)
    assert caught.value.what.splitlines()[0].startswith(
        f"{path}: the batch of 'a' is open and cannot be fixed to 1: LiteRT does not run"
    )
    assert "batch_size=1" in caught.value.cure
