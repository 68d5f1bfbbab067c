"""Quantised models with a float interface: QUANTIZE at their inputs, DEQUANTIZE at their outputs.

An Ethos-U55 has no floats, so these operators run on the CPU. Without them, the rest of the model
is what the NPU executes, and every target can run it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.tflite.graph import FileGraph

__all__ = ["FloatEnds", "find_float_ends"]


@dataclass(frozen=True)
class FloatEnds:
    """Operators that only convert a model's inputs and outputs."""

    #: Float input or output -> the quantised tensor at the other side of its conversion.
    tensors: dict[int, int]
    #: The numbers of the operators.
    operators: frozenset[int]
    #: What was found, in words.
    words: str


def find_float_ends(graph: FileGraph) -> FloatEnds:
    """The conversions at the ends of `graph`: those that nothing else depends on."""
    ends = [*_at_inputs(graph), *_at_outputs(graph)]
    names = ", ".join(
        f"{graph.operators[number].info.name} at {graph.tensors[outer].name!r}"
        for number, outer, _ in ends
    )
    return FloatEnds(
        tensors={outer: inner for _, outer, inner in ends},
        operators=frozenset(number for number, _, _ in ends),
        words=names,
    )


def _at_inputs(graph: FileGraph) -> Iterator[tuple[int, int, int]]:
    """Operator, float tensor, quantised tensor."""
    for tensor in graph.inputs:
        readers = [i for i, node in enumerate(graph.operators) if tensor in node.inputs]
        if not _is_float(graph, tensor) or len(readers) != 1 or tensor in graph.outputs:
            continue
        node = graph.operators[readers[0]]
        if node.info.name == "QUANTIZE" and len(node.outputs) == 1:
            yield readers[0], tensor, node.outputs[0]


def _at_outputs(graph: FileGraph) -> Iterator[tuple[int, int, int]]:
    for tensor in dict.fromkeys(graph.outputs):
        read = any(tensor in node.inputs for node in graph.operators)
        writers = [i for i, node in enumerate(graph.operators) if tensor in node.outputs]
        if not _is_float(graph, tensor) or read or len(writers) != 1:
            continue
        node = graph.operators[writers[0]]
        if node.info.name == "DEQUANTIZE" and len(node.inputs) == 1 and node.inputs[0] >= 0:
            yield writers[0], tensor, node.inputs[0]


def _is_float(graph: FileGraph, tensor: int) -> bool:
    return graph.tensors[tensor].dtype == "float32"
