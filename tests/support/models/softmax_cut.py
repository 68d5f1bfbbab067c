"""Cutting a model before its softmax: a softmax hides errors, its outputs barely move."""

from __future__ import annotations

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

__all__ = ["before_softmax"]


def before_softmax(model: bytes) -> bytes:
    """The model with the last softmax's input for its output. Raises ValueError without one."""
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    graph = tree.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in tree.operatorCodes]
    places = [
        place
        for place, operator in enumerate(graph.operators)
        if codes[operator.opcodeIndex] == schema.BuiltinOperator.SOFTMAX
    ]
    if not places:
        raise ValueError("the model has no softmax")
    graph.outputs = [int(graph.operators[places[-1]].inputs[0])]
    graph.operators = graph.operators[: places[-1]]
    tree.signatureDefs = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())
