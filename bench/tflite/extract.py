"""Some operators of a `.tflite` as a model of their own."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from bench.tflite.packing import packed

__all__ = [
    "EXTRACT_DAMAGE",
    "Connected",
    "Constants",
    "extract_operators",
    "inputs_of",
    "stands_alone",
]

#: What flatbuffers' reader and writer raise for an operator whose options point nowhere.
EXTRACT_DAMAGE = (
    struct.error,
    IndexError,
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
    flatbuffers.builder.BuilderSizeError,
)

#: Operators that run other parts of the model.
_CALLING = ("CALL", "IF", "STABLEHLO_", "WHILE")

#: The data of each tensor of a graph, uint8 `[bytes]`; None for a feature map.
Constants: TypeAlias = Sequence[npt.NDArray[np.uint8] | None]


class Connected(Protocol):
    """An operator: the tensors it reads and writes by index; -1 for an optional one."""

    @property
    def inputs(self) -> tuple[int, ...]:
        """What it reads."""
        ...

    @property
    def outputs(self) -> tuple[int, ...]:
        """What it writes."""
        ...


def stands_alone(name: str) -> bool:
    """Whether an operator of TFLite's `name` does the same in a model of its own."""
    return not name.startswith(_CALLING)


def inputs_of(operators: Sequence[Connected], constants: Constants) -> tuple[int, ...]:
    """The tensors that `operators`, run in this order, read and neither are constant nor write."""
    written: set[int] = set()
    found: dict[int, None] = {}
    for operator in operators:
        for index in operator.inputs:
            if index >= 0 and constants[index] is None and index not in written:
                found[index] = None
        written.update(operator.outputs)
    return tuple(found)


def extract_operators(
    source: bytes,
    operators: Mapping[int, Connected],
    outputs: Sequence[int],
    constants: Constants,
) -> bytes:
    """A `.tflite` that holds just `operators` of the first subgraph of `source`.

    `operators` maps the number of each to its tensors, in the order of execution; `constants` has
    the data of every tensor of the subgraph. The model's inputs are `inputs_of` the operators in
    that order, its outputs the tensors `outputs`. Raises one of `EXTRACT_DAMAGE` where `source` is
    damaged.
    """
    # Only what is needed is unpacked: nobody need have checked the rest.
    original = schema.Model.GetRootAsModel(source, 0)
    subgraph = original.Subgraphs(0)
    nodes = [_node(subgraph.Operators(number), operators[number]) for number in operators]
    used = sorted({i for node in nodes for i in _tensors(node) if i >= 0})
    renumbered = {old: new for new, old in enumerate(used)}
    renumbered[-1] = -1
    model = schema.ModelT()
    model.version = original.Version()
    model.operatorCodes = []
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor(subgraph.Tensors(index), constants[index], model.buffers) for index in used
    ]
    for node in nodes:
        code = schema.OperatorCodeT.InitFromObj(original.OperatorCodes(node.opcodeIndex))
        node.opcodeIndex = len(model.operatorCodes)
        model.operatorCodes.append(code)
        node.inputs = [renumbered[i] for i in node.inputs]
        node.outputs = [renumbered[i] for i in node.outputs]
        if node.intermediates is not None:
            node.intermediates = [renumbered[i] for i in node.intermediates]
    graph.operators = nodes
    graph.inputs = [renumbered[i] for i in inputs_of(list(operators.values()), constants)]
    graph.outputs = [renumbered[i] for i in outputs]
    model.subgraphs = [graph]
    return packed(model)


def _node(original: Any, connected: Connected) -> Any:
    node = schema.OperatorT.InitFromObj(original)
    node.inputs = list(connected.inputs)
    node.outputs = list(connected.outputs)
    if node.intermediates is not None:
        node.intermediates = [int(i) for i in node.intermediates]
    return node


def _tensors(node: Any) -> list[int]:
    return [*node.inputs, *node.outputs, *(node.intermediates or ())]


def _tensor(original: Any, constant: npt.NDArray[np.uint8] | None, buffers: list[Any]) -> Any:
    tensor = schema.TensorT.InitFromObj(original)
    tensor.buffer = 0
    if constant is not None:
        buffer = schema.BufferT()
        buffer.data = constant
        tensor.buffer = len(buffers)
        buffers.append(buffer)
    return tensor
