"""Broken promises are seen in the quantised model, with their cause."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench.core.errors import BuildError
from bench.tflite.graph import FileGraph
from bench.tflite.reader import graph_of
from models.lineage import Kept, Promise
from models.promises import Kernel, check_promises
from tests.support.models.tflite_factory import Op, Tensor, model_bytes

Floats = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]

ZEROS = Promise(sparsity=0.75)
FEW = Promise(values=8)


def floats(*, sparse: bool = False, few: bool = False, seed: int = 0) -> Floats:
    """A kernel of 16 outputs and 32 inputs."""
    random = np.random.default_rng(seed)
    kernel = random.normal(size=(16, 32))
    if few:
        kernel = random.choice(np.linspace(-1, 1, 8), size=(16, 32))
    if sparse:
        order = np.argsort(random.random(kernel.size)).reshape(kernel.shape)
        kernel[order < 0.75 * kernel.size] = 0
    return kernel.astype(np.float32)


def stored(kernel: Floats, *, zero_point: int = 0, by_channel: bool = False) -> Int8:
    axis = 1 if by_channel else None
    scale = np.abs(kernel).max(axis=axis, keepdims=True) / (127 - abs(zero_point))
    weights: Int8 = np.round(kernel / scale + zero_point).astype(np.int8)
    return weights


def model(*layers: tuple[str, Int8], zero_point: int = 0, by_channel: bool = False) -> FileGraph:
    """Fully-connected layers beside each other, each a constant with this name."""
    tensors = [Tensor("image", (1, 32), "int8", 0.1)]
    operators = []
    for name, weights in layers:
        scale = (0.01,) * len(weights) if by_channel else 0.01
        first = len(tensors)
        tensors += [
            Tensor(name, weights.shape, "int8", scale, zero_point, weights),
            Tensor(f"{name}_bias", (16,), "int32", 0.001, 0, np.zeros(16, np.int32)),
            Tensor(f"{name}_out", (1, 16), "int8", 0.1),
        ]
        operators.append(Op("FULLY_CONNECTED", (0, first, first + 1), (first + 2,)))
    outputs = [op.outputs[0] for op in operators]
    return graph_of(model_bytes(tensors, operators, [0], outputs), Path("model.tflite"))


def check(promise: Promise, kernel: Floats, graph: FileGraph, layer: str = "dense") -> Kept:
    [kept] = check_promises({layer: promise}, [Kernel(layer, "kernel", kernel)], graph)
    return kept


def test_what_was_found_is_kept() -> None:
    kernel = floats(sparse=True, few=True)
    promise = Promise(sparsity=0.75, values=9)
    kept = check(promise, kernel, model(("net/dense/MatMul", stored(kernel))))
    assert kept.promise == promise
    assert kept.found.tensor == "net/dense/MatMul"
    assert kept.found.sparsity >= 0.75
    assert kept.found.values == np.unique(kernel).size
    assert kept.found.values_in == "tensor"


def test_lost_zeros_are_seen_with_both_figures() -> None:
    """The classic: a training after pruning that does not know of it."""
    trained_on = floats(sparse=True) + np.float32(0.05) * floats(seed=1)
    graph = model(("net/dense/MatMul", stored(trained_on)))
    with pytest.raises(BuildError, match=r"'dense'.*75\.0% zeros are promised") as caught:
        check(ZEROS, trained_on, graph)
    assert "float kernel has 0.0% already" in str(caught.value)
    assert "not stripped" in str(caught.value)


def test_a_zero_point_that_moves_zeros_is_named() -> None:
    kernel = floats(sparse=True)
    graph = model(("net/dense/MatMul", stored(kernel, zero_point=3)), zero_point=3)
    with pytest.raises(BuildError, match="zero point is 3, so a zero weight is not stored as 0"):
        check(ZEROS, kernel, graph)


def test_what_was_folded_in_is_named_when_the_float_kernel_is_right() -> None:
    kernel = floats(sparse=True)
    graph = model(("net/dense/MatMul", stored(kernel + np.float32(0.1))))
    with pytest.raises(BuildError, match="folded into it"):
        check(ZEROS, kernel, graph)


def test_a_kernel_that_was_not_clustered_is_seen() -> None:
    kernel = floats()
    graph = model(("net/dense/MatMul", stored(kernel)))
    with pytest.raises(BuildError, match=r"8 values a kernel are promised.*already") as caught:
        check(FEW, kernel, graph)
    assert f"has {np.unique(stored(kernel)).size} in a tensor" in str(caught.value)


def test_a_batch_norm_folded_into_a_single_scale_is_named() -> None:
    kernel = floats(few=True)
    folded = kernel * np.linspace(0.2, 1, 16, dtype=np.float32)[:, np.newaxis]
    graph = model(("net/dense/MatMul", stored(folded)))
    with pytest.raises(BuildError, match="BatchNorm was folded in between"):
        check(FEW, kernel, graph)


def test_with_a_scale_per_channel_values_count_in_each_channel() -> None:
    kernel = floats(few=True)
    # Half of the channels have another largest weight, and so another step between values.
    kernel[::2][np.abs(kernel[::2]) == 1] = kernel[0, 0] = np.float32(0.714)
    folded = kernel * np.linspace(-0.2, 1, 16, dtype=np.float32)[:, np.newaxis]
    weights = stored(folded, by_channel=True)
    graph = model(("net/dense/MatMul", weights), by_channel=True)
    found = check(FEW, kernel, graph).found
    assert (found.values_in, found.values) == ("channel", 8)
    assert np.unique(weights).size > 8


def test_groups_with_too_few_zeros_are_counted() -> None:
    kernel = floats()
    kernel.reshape(-1, 4)[:, :2] = 0
    promise = Promise(n_of_m=(2, 4))
    assert check(promise, kernel, model(("net/dense/MatMul", stored(kernel)))).found
    kernel[3, 0:2] = 1
    with pytest.raises(BuildError, match="2 zeros in 4 weights are promised, and 1 groups"):
        check(promise, kernel, model(("net/dense/MatMul", stored(kernel))))


@pytest.mark.parametrize(
    "name",
    [
        "net/dense/MatMul",
        "net/quant_dense/MatMul;net/quant_dense/LastValueQuant/FakeQuantWithMinMaxVars",
        "net/other_norm/mul;net/dense/Conv2D",
    ],
)
def test_a_kernel_is_found_by_its_layers_name(name: str) -> None:
    """Beside one of the same shape, whose name contains it."""
    kernel, other = floats(few=True), floats(seed=2)
    graph = model(("net/dense_1/MatMul", stored(other)), (name, stored(kernel)))
    assert check(FEW, kernel, graph).found.tensor == name


def test_a_kernel_without_a_name_is_found_by_its_contents() -> None:
    kernel, other = floats(few=True), floats(seed=2)
    graph = model(("arith.constant", stored(other)), ("arith.constant1", stored(kernel)))
    assert check(FEW, kernel, graph).found.tensor == "arith.constant1"


def test_a_matrix_is_found_the_other_way_round() -> None:
    kernel = floats(few=True)
    weights = stored(kernel).T.copy()
    tensors = [
        Tensor("image", (1, 32), "int8", 0.1),
        Tensor("net/dense/MatMul", (32, 16), "int8", 0.01, 0, weights),
        Tensor("out", (1, 16), "int8", 0.1),
    ]
    product = [Op("BATCH_MATMUL", (0, 1), (2,))]
    graph = graph_of(model_bytes(tensors, product, [0], [2]), Path("model.tflite"))
    assert check(FEW, kernel, graph).found.values == 8


@pytest.mark.parametrize("shape", ["same", "other"])
def test_a_kernel_that_cannot_be_found_is_an_error(shape: str) -> None:
    """Otherwise a promise would hold because nobody looked."""
    weights = stored(floats(seed=2))
    graph = model(("net/elsewhere/MatMul", weights if shape == "same" else weights[:, :8].copy()))
    with pytest.raises(BuildError, match="not found in the quantised model"):
        check(FEW, floats(few=True), graph)


def test_a_layer_without_a_kernel_is_an_error() -> None:
    with pytest.raises(BuildError, match=r"'pool'.*cannot be checked"):
        check_promises({"pool": ZEROS}, [], model(("net/dense/MatMul", stored(floats()))))
