"""Rewritings of a `.tflite`: what is constant is told, and then held; ends are cut off."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from bench.core.arrays import Array
from bench.tflite.graph import FileGraph
from bench.tflite.packing import packed

__all__ = ["cut_off", "probe", "rewritten"]


def probe(graph: FileGraph, values: Sequence[int], shapes: Sequence[int]) -> bytes:
    """A `.tflite` with the inputs of `graph` that tells what is asked.

    Its outputs are the tensors `values`, then the shape of each of the tensors `shapes`, int32.
    Only the operators that this takes are in it. Raises one of `EXTRACT_DAMAGE` where the file is
    damaged.
    """
    model = _unpacked(graph)
    subgraph = model.subgraphs[0]
    nodes = list(subgraph.operators)
    subgraph.operators = [nodes[number] for number in _ancestors(graph, (*values, *shapes))]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SHAPE
    code.version = 1
    model.operatorCodes.append(code)
    ranks = [len(graph.tensors[index].shape) for index in shapes]
    told = [_shape_of(model, index, rank) for index, rank in zip(shapes, ranks, strict=True)]
    subgraph.outputs = [*values, *told]
    model.signatureDefs = None
    return packed(model)


def rewritten(
    graph: FileGraph,
    dropped: Collection[int],
    constants: Mapping[int, Array],
    shapes: Mapping[int, Sequence[int]],
) -> bytes:
    """The `.tflite` of `graph` without the operators `dropped`.

    The tensors `constants` become constants with these values, and the tensors `shapes` get these
    fixed shapes. No tensor's number changes. Raises one of `EXTRACT_DAMAGE` where the file is
    damaged.
    """
    model = _unpacked(graph, dropped)
    subgraph = model.subgraphs[0]
    for index, value in constants.items():
        _hold(model, subgraph.tensors[index], value)
    for index, shape in shapes.items():
        _fix(subgraph.tensors[index], list(shape))
    _forget_unused(model)
    return packed(model)


def cut_off(graph: FileGraph, dropped: Collection[int], ends: Mapping[int, int]) -> bytes:
    """The `.tflite` of `graph` without the operators `dropped` at its ends.

    In the interface, each tensor of `ends` is replaced by the one at the other side of its
    operator. No tensor's number changes. Raises one of `EXTRACT_DAMAGE` where the file is damaged.
    """
    model = _unpacked(graph, dropped)
    subgraph = model.subgraphs[0]
    subgraph.inputs = [ends.get(index, index) for index in graph.inputs]
    subgraph.outputs = [ends.get(index, index) for index in graph.outputs]
    # Signatures name the tensors that were inputs and outputs.
    model.signatureDefs = None
    _forget_unused(model)
    return packed(model)


def _unpacked(graph: FileGraph, dropped: Collection[int] = ()) -> Any:
    """The model of `graph` without the operators `dropped`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(graph.data, 0))
    subgraph = model.subgraphs[0]
    subgraph.operators = [
        node for number, node in enumerate(subgraph.operators) if number not in dropped
    ]
    return model


def _ancestors(graph: FileGraph, tensors: Iterable[int]) -> list[int]:
    """The operators that it takes to compute `tensors`, in the order of execution."""
    missing = set(tensors)
    found = []
    for number in reversed(range(len(graph.operators))):
        node = graph.operators[number]
        # What initialises the state has no outputs.
        if missing.intersection(node.outputs) or not node.outputs:
            missing.update(node.inputs)
            found.append(number)
    return found[::-1]


def _shape_of(model: Any, index: int, rank: int) -> int:
    """Add an operator, of the last code, that reads the shape of tensor `index`.

    Returns the number of the tensor that it writes.
    """
    subgraph = model.subgraphs[0]
    result = schema.TensorT()
    result.name, result.type, result.shape = b"", schema.TensorType.INT32, [rank]
    subgraph.tensors.append(result)
    options = schema.ShapeOptionsT()
    options.outType = schema.TensorType.INT32
    node = schema.OperatorT()
    node.opcodeIndex = len(model.operatorCodes) - 1
    node.inputs, node.outputs = [index], [len(subgraph.tensors) - 1]
    node.builtinOptionsType = schema.BuiltinOptions.ShapeOptions
    node.builtinOptions = options
    subgraph.operators.append(node)
    return len(subgraph.tensors) - 1


def _hold(model: Any, tensor: Any, value: Array) -> None:
    """Make `tensor` the constant `value`."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)
    tensor.sparsity = None
    _fix(tensor, list(value.shape))


def _fix(tensor: Any, shape: list[int]) -> None:
    tensor.shape = shape
    tensor.shapeSignature = None


def _forget_unused(model: Any) -> None:
    """Empty the constants that nothing reads any more. No number changes."""
    graph = model.subgraphs[0]
    read = {int(i) for node in graph.operators for i in (*node.inputs, *node.outputs)}
    read.update(int(i) for i in (*graph.inputs, *graph.outputs))
    for index, tensor in enumerate(graph.tensors):
        if index not in read:
            tensor.buffer, tensor.sparsity = 0, None
    used = {int(tensor.buffer) for each in model.subgraphs for tensor in each.tensors}
    used.update(int(entry.buffer) for entry in model.metadata or ())
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
