"""What `ethos-u` operators hand on without naming it, and what they name without reading it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from bench.compiler import VelaOptions, compile_model
from bench.core.errors import ModelError
from bench.tflite.interpreters import run_tflm
from bench.tflite.model_file import inspect
from bench.tflite.random_inputs import random_inputs
from targets.artefact import load_artefact
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.simulator import Simulator
from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import binary, table
from tests.operators.weighted import conv2d, fully_connected
from tests.support.models.tflite_factory import repacked

ROWS = 20


def through_floats(network: Network, value: Value, parts: int) -> list[Value]:
    """Split on the CPU, as floats, between two parts of the NPU."""
    options = schema.DequantizeOptionsT()
    real = network.apply("DEQUANTIZE", [value], value.shape, "float32", None, options)
    split = schema.SplitOptionsT()
    split.numSplits = parts
    shape = (1, value.shape[1] // parts)
    axis = network.integers(1)
    pieces = network.apply_many("SPLIT", [axis, real], [shape] * parts, "float32", None, split)
    quantised = Quantisation(1 / 32, 3)
    return [
        network.apply("QUANTIZE", [one], shape, "int8", quantised, schema.QuantizeOptionsT())
        for one in pieces
    ]


def two_gates(network: Network) -> Value:
    hidden = fully_connected(network, network.input((1, 16)), 12)
    candidate, gate = through_floats(network, hidden, 2)
    return binary(
        network, "MUL", table(network, candidate, "TANH"), table(network, gate, "LOGISTIC")
    )


def three_gates(network: Network) -> Value:
    hidden = fully_connected(network, network.input((1, 16)), 24)
    a, b, c = (table(network, one, "TANH") for one in through_floats(network, hidden, 3))
    return binary(network, "ADD", binary(network, "MUL", a, b), binary(network, "MUL", b, c))


def in_two_places(network: Network) -> Value:
    hidden = fully_connected(network, two_gates(network), 8)
    left, right = through_floats(network, hidden, 2)
    return binary(network, "SUB", table(network, left, "LOGISTIC"), table(network, right, "TANH"))


def upsampler(network: Network) -> Value:
    """TRANSPOSE_CONV whose output shape the CPU computes: only the reference needs it."""
    value = conv2d(network, network.input((1, 4, 4, 3)), 6)
    options = schema.ShapeOptionsT()
    options.outType = schema.TensorType.INT32
    shape = network.apply("SHAPE", [value], (4,), "int32", None, options)
    factors = network.integers(1, 2, 2, 1)
    wanted = network.apply("MUL", [shape, factors], (4,), "int32", None, schema.MulOptionsT())
    weights = network.random.integers(-127, 128, (6, 3, 3, 6)).astype(np.int8)
    transposed = schema.TransposeConvOptionsT()
    transposed.padding = schema.Padding.SAME
    transposed.strideH = transposed.strideW = 2
    operands = [wanted, network.constant(weights, 0.01), value]
    output = Quantisation(0.05, 2)
    return network.apply("TRANSPOSE_CONV", operands, (1, 8, 8, 6), "int8", output, transposed, 3)


def compiled(directory: Path, build: Callable[[Network], Value], macs: Accelerator) -> Path:
    network = Network(5)
    model = directory / "model.tflite"
    model.write_bytes(network.serialise([build(network)]))
    options = VelaOptions(accelerator=macs, memory_mode=MemoryMode.SHARED_SRAM)
    return compile_model(model, options, directory).path(directory)


def assert_exact(directory: Path, path: Path) -> None:
    model = directory / "model.tflite"
    inputs = random_inputs(inspect(model), ROWS, seed=3)
    (expected,) = run_tflm(model, inputs)
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(Simulator(path).run(inputs).outputs[0], expected)


@pytest.mark.parametrize("build", [two_gates, three_gates, in_two_places])
@pytest.mark.parametrize("macs", [Accelerator.U55_32, Accelerator.U55_256])
def test_an_operator_without_outputs_hands_on_through_the_arena(
    tmp_path: Path, build: Callable[[Network], Value], macs: Accelerator
) -> None:
    path = compiled(tmp_path, build, macs)
    assert any(not op.outputs for op in load_artefact(path).npu_operators), "Vela names it now"
    assert_exact(tmp_path, path)


def moved_out_of_the_arena(path: Path, tensor: int) -> None:
    def change(model: schema.ModelT) -> None:
        (entry,) = (one for one in model.metadata if one.name == b"OfflineMemoryAllocation")
        buffer = model.buffers[entry.buffer]
        offsets = np.array(buffer.data, np.uint8).view("<i4")
        offsets[3 + tensor] = -1
        buffer.data = offsets.view(np.uint8)

    path.write_bytes(repacked(path.read_bytes(), change))


def test_an_input_without_a_place_in_the_arena_is_not_read(tmp_path: Path) -> None:
    path = compiled(tmp_path, upsampler, Accelerator.U55_128)
    artefact = load_artefact(path)
    (shape,) = (
        i
        for op in artefact.npu_operators
        for i in op.inputs
        if artefact.tensors[i].dtype == "int32"
    )
    moved_out_of_the_arena(path, shape)
    assert load_artefact(path).tensors[shape].offset is None
    assert_exact(tmp_path, path)


def test_an_output_without_a_place_is_refused(tmp_path: Path) -> None:
    path = compiled(tmp_path, upsampler, Accelerator.U55_128)
    artefact = load_artefact(path)
    moved_out_of_the_arena(path, artefact.npu_operators[-1].outputs[0])
    with pytest.raises(ModelError, match="has no place in the arena"):
        load_artefact(path)
