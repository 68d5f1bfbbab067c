"""One operator of a `.tflite` as a model of its own."""

from __future__ import annotations

import struct
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from bench.core.errors import ModelError
from targets.artefact import Artefact, CpuOperator

__all__ = ["extract_operator"]

_IDENTIFIER = b"TFL3"
# Raised by flatbuffers' reader and writer for an operator whose options point nowhere.
_DAMAGE = (
    struct.error,
    IndexError,
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
    flatbuffers.builder.BuilderSizeError,
)


def extract_operator(artefact: Artefact, operator: CpuOperator) -> bytes:
    """A `.tflite` holding just `operator`, its tensors, constants and options.

    Its inputs are the operator's inputs that are not constant, in their order. Raises
    `ModelError` for an operator of an artefact without a flatbuffer, and for a damaged one.
    """
    where = f"{artefact.name}: operator {operator.index} ({operator.name})"
    if artefact.source is None:
        raise ModelError(
            f"{where} runs on the CPU, and a raw file does not hold it",
            cure="give Vela's .tflite output",
        )
    try:
        model = _single(artefact, artefact.source, operator)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())
    except _DAMAGE as error:
        raise ModelError(f"{where} is damaged: {error}", cure="compile the model again") from error


def _single(artefact: Artefact, source: bytes, operator: CpuOperator) -> Any:
    # Only what is needed is unpacked, because the reader of the artefact has not checked the rest.
    original = schema.Model.GetRootAsModel(source, 0)
    subgraph = original.Subgraphs(0)
    node = schema.OperatorT.InitFromObj(subgraph.Operators(operator.index))
    used = sorted({i for i in (*operator.inputs, *operator.outputs) if i >= 0})
    renumbered = {old: new for new, old in enumerate(used)}
    renumbered[-1] = -1
    model = schema.ModelT()
    model.version = original.Version()
    model.operatorCodes = [
        schema.OperatorCodeT.InitFromObj(original.OperatorCodes(node.opcodeIndex))
    ]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = []
    for index in used:
        tensor = schema.TensorT.InitFromObj(subgraph.Tensors(index))
        constant = artefact.tensors[index].constant
        tensor.buffer = 0
        if constant is not None:
            buffer = schema.BufferT()
            buffer.data = constant
            tensor.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(tensor)
    node.inputs = [renumbered[i] for i in operator.inputs]
    node.outputs = [renumbered[i] for i in operator.outputs]
    node.opcodeIndex = 0
    graph.operators = [node]
    graph.inputs = [
        renumbered[i] for i in operator.inputs if i >= 0 and artefact.tensors[i].constant is None
    ]
    graph.outputs = list(node.outputs)
    model.subgraphs = [graph]
    return model
