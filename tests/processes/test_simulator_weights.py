"""The weights of models that Vela compiled."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from bench.compiler import VelaOptions, compile_model
from targets.artefact.driver_actions import parse_payload
from targets.artefact.stream.decode import decode
from targets.artefact.stream.operations import Conv, Depthwise, Dma, FlashRange
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.weights.decoding import decode_weights
from targets.simulator.weights.traversal import (
    traversal_of,
)


def zoo() -> list[Path]:
    directory = os.environ.get("BENCH_MODEL_ZOO")
    return sorted(Path(directory).glob("*.tflite")) if directory else []


def model_of(path: Path) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))


def signature(channel: np.ndarray) -> bytes:
    """What the compiler cannot change in a channel's weights: the order of the non-zero ones."""
    return bytes(channel[channel != 0].astype(np.int16).tobytes())


def source_channels(model: schema.ModelT) -> Counter[bytes]:
    kinds = schema.BuiltinOperator
    graph = model.subgraphs[0]
    channels: Counter[bytes] = Counter()
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        if kind not in (kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D, kinds.FULLY_CONNECTED):
            continue
        tensor = graph.tensors[operator.inputs[1]]
        weights = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.int8)
        weights = weights.reshape(tensor.shape)
        axis = 3 if kind == kinds.DEPTHWISE_CONV_2D else 0
        rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
        channels.update(signature(row) for row in rows)
    return channels


def compiled_channels(model: schema.ModelT, macs: int) -> Counter[bytes]:
    graph = model.subgraphs[0]
    (operator,) = graph.operators
    stream_tensor, flash_tensor = (graph.tensors[i] for i in operator.inputs[:2])
    payload = parse_payload(bytes(model.buffers[stream_tensor.buffer].data))
    flash = np.asarray(model.buffers[flash_tensor.buffer].data, np.uint8)
    memory = {0: flash, 1: np.zeros(1 << 22, np.uint8)}

    def at(where: FlashRange) -> np.ndarray:
        return memory[where.region][where.address : where.address + where.length]

    channels: Counter[bytes] = Counter()
    for operation in decode(payload.commands, macs):
        if isinstance(operation, Dma) and operation.destination_region is not None:
            # Vela copies the weights of some layers into SRAM first.
            source = FlashRange(operation.source_region, operation.source, operation.length)
            target = FlashRange(
                operation.destination_region, operation.destination, operation.length
            )
            at(target)[:] = at(source)
        elif isinstance(operation, Conv | Depthwise):
            outputs, kernel = operation.ofm.depth, operation.kernel
            inputs = 1 if isinstance(operation, Depthwise) else operation.ifm.depth
            shape = (outputs, kernel.height, kernel.width, inputs)
            traversal = traversal_of(operation, macs)
            weights = decode_weights(
                at(operation.weights), shape, traversal, word=17, operation="NPU_OP_CONV"
            )
            channels.update(signature(row) for row in weights.reshape(outputs, -1))
    return channels


@pytest.mark.skipif(not zoo(), reason="BENCH_MODEL_ZOO names no directory with .tflite models")
@pytest.mark.parametrize("accelerator", list(Accelerator))
@pytest.mark.parametrize("path", zoo(), ids=lambda path: path.stem)
def test_the_kernels_of_a_compiled_model_are_those_of_its_source(
    path: Path, accelerator: Accelerator, tmp_path: Path
) -> None:
    options = VelaOptions(accelerator=accelerator, memory_mode=MemoryMode.SHARED_SRAM)
    compiled = compile_model(path, options, tmp_path / "out")
    model = model_of(compiled.path(tmp_path / "out"))
    assert compiled_channels(model, int(accelerator)) == source_channels(model_of(path))
