"""What of a model is constant although its file computes it: shapes, and weights stored sparse.

Two options of a converter leave such computation in a file. With an *open batch*, operators read
the shapes of feature maps (SHAPE) and compute others from them, for RESHAPE and FILL. With
*sparsity*, only the weights that are not 0 are stored, and DENSIFY or a kernel spreads them. Vela
does not compile the first, and leaves the second to the CPU.

`fold` makes a file for a batch of 1 without either. Sparse weights are stored dense. LiteRT
computes once what follows from the shapes, and the results take the operators' places. Only
operators that move values or compute with integers are folded, which no kernel rounds. So the
outputs stay the same, bit for bit. A file that computes no constants stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.core.processes import Bounds
from bench.tflite.extract import EXTRACT_DAMAGE
from bench.tflite.graph import VELA_OPERATOR, FileGraph, OperatorNode, TensorInfo
from bench.tflite.interpreters import (
    INTERPRETER_BOUNDS,
    Interpreter,
    InterpreterError,
    Request,
    shared_interpreters,
)
from bench.tflite.reader import graph_of
from bench.tflite.rewriting import probe, rewritten
from bench.tflite.sparsity import dense_constant

__all__ = ["Folded", "computes_constants", "fold"]

#: These only move values: a kernel can do nothing else with them, whatever they are.
_COPIES = frozenset(
    {
        *("BROADCAST_TO", "EXPAND_DIMS", "FILL", "RESHAPE", "SQUEEZE", "TILE", "TRANSPOSE"),
        *("ZEROS_LIKE",),
    }
)
#: With integers that stand for themselves, these give the same in every kernel.
_INTEGER_ARITHMETIC = frozenset(
    {
        *("ABS", "ADD", "ADD_N", "BROADCAST_ARGS", "CAST", "CONCATENATION", "DIV", "EQUAL"),
        *("FLOOR_DIV", "FLOOR_MOD", "GATHER", "GATHER_ND", "GREATER", "GREATER_EQUAL", "LESS"),
        *("LESS_EQUAL", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "MAXIMUM", "MINIMUM", "MUL"),
        *("NEG", "NOT_EQUAL", "PACK", "RANGE", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"),
        *("SELECT", "SELECT_V2", "SLICE", "SPLIT", "SPLIT_V", "STRIDED_SLICE", "SUB", "SUM"),
        *("UNPACK",),
    }
)
#: These know the shape of what they read, and need not its values.
_SHAPE_READERS = frozenset({"RANK", "SHAPE"})
#: The shape of their result depends on values.
_UNFORESEEN = ("CALL", "CUSTOM", "IF", "NON_MAX", "STABLEHLO_", "UNIQUE", "WHERE", "WHILE")
#: These take integers as data, which decide no shape.
_INTEGERS_AS_DATA = frozenset({"CAST", "EMBEDDING_LOOKUP", "GATHER"})
_INTEGERS = frozenset({"bool", "int32", "int64"})

_BATCH_CURE = (
    "convert the model with a fixed batch of 1: Input(..., batch_size=1) in Keras, or a "
    "concrete function of tf.TensorSpec([1, ...])"
)
_DENSIFY = "DENSIFY"
_SPARSE_CURE = "convert the model without Optimize.EXPERIMENTAL_SPARSITY"


@dataclass(frozen=True)
class Folded:
    """The file without the computation of constants."""

    data: bytes
    #: What was changed, for people: a sentence each.
    changes: tuple[str, ...]


@dataclass(frozen=True)
class _Static:
    """What of a graph is known once its batch is 1. Tensors are indices."""

    #: The inputs whose batch is open.
    open_inputs: tuple[int, ...]
    #: Operators that compute with nothing but shapes, by their position.
    operators: tuple[int, ...]
    #: Their results that other operators read.
    values: tuple[int, ...]
    #: Feature maps whose shape is open in the file.
    shapes: tuple[int, ...]


def computes_constants(graph: FileGraph) -> bool:
    """Whether there is something to `fold`.

    There is nothing where it cannot help: if more than the batch is open, or if Vela wrote the
    file.
    """
    if any(node.info.custom == VELA_OPERATOR for node in graph.operators):
        return False
    return bool(_sparse(graph)) or _static(graph) is not None


def fold(graph: FileGraph, path: Path, bounds: Bounds = INTERPRETER_BOUNDS) -> Folded:
    """The file of `graph`, for a batch of 1, in which nothing constant is left to compute.

    Raises `ModelError`, which names `path` and the option to leave out, if LiteRT does not compute
    the shapes or the sparse weights are damaged; `PrerequisiteError` if LiteRT is not installed.
    """
    changes: list[str] = []
    sparse = _sparse(graph)
    if sparse:
        graph = _densified(graph, sparse, path)
        changes.append(f"{len(sparse)} constants that were stored sparse are stored dense")
    static = _static(graph)
    if static is None:
        return Folded(graph.data, tuple(changes))
    data = _fixed(graph, static, path, bounds)
    return Folded(data, (*_changes(graph, static), *changes))


def _sparse(graph: FileGraph) -> tuple[int, ...]:
    """The constants that operators read and that are stored sparse."""
    read = {i for node in graph.operators for i in node.inputs if i >= 0}
    return tuple(i for i in sorted(read) if graph.tensors[i].is_sparse)


def _densified(graph: FileGraph, sparse: Sequence[int], path: Path) -> FileGraph:
    """The graph with these constants dense, so that no DENSIFY need spread them."""
    try:
        dense = {index: dense_constant(graph, index) for index in sparse}
        spreading = {
            number
            for number, node in enumerate(graph.operators)
            if node.info.name == _DENSIFY and node.inputs[0] in dense
        }
        for number in spreading:
            node = graph.operators[number]
            dense[node.outputs[0]] = dense[node.inputs[0]]
        return graph_of(rewritten(graph, spreading, dense, {}), path)
    except EXTRACT_DAMAGE as error:
        raise ModelError(
            f"{path}: its weights are stored sparse, and cannot be made dense: {error}",
            cure=_SPARSE_CURE,
        ) from error


def _static(graph: FileGraph) -> _Static | None:
    """What a batch of 1 makes known; None if no operator computes with that."""
    inputs = [(i, graph.tensors[i]) for i in graph.inputs]
    open_inputs = tuple(i for i, tensor in inputs if tensor.shape_signature[:1] == (-1,))
    if not open_inputs or any(min(t.shape_signature[1:], default=0) < 0 for _, t in inputs):
        return None
    operators, shaped = _folding(graph)
    if not operators:
        return None
    made = {i for number in operators for i in graph.operators[number].outputs}
    kept = [node for number, node in enumerate(graph.operators) if number not in set(operators)]
    read = {i for node in kept for i in node.inputs}
    unclear = {i for i in shaped if min(graph.tensors[i].shape_signature, default=0) < 0}
    return _Static(
        open_inputs,
        operators,
        tuple(sorted(made & read)),
        tuple(sorted(unclear - set(graph.inputs))),
    )


def _folding(graph: FileGraph) -> tuple[tuple[int, ...], set[int]]:
    """Which operators compute with shapes alone, and which feature maps have a known shape."""
    known = {i for i, constant in enumerate(graph.constants) if constant is not None} | {-1}
    shaped = known | set(graph.inputs)
    operators = []
    for number, node in enumerate(graph.operators):
        if not shaped.issuperset(node.inputs) or not node.inputs:
            continue
        # The model's outputs must be made by an operator.
        if _is_constant(graph, node, known) and not set(node.outputs) & set(graph.outputs):
            operators.append(number)
            known.update(node.outputs)
            shaped.update(node.outputs)
        elif _is_foreseen(graph, node, known):
            shaped.update(node.outputs)
    return tuple(operators), shaped - known


def _is_constant(graph: FileGraph, node: OperatorNode, known: set[int]) -> bool:
    name = node.info.name
    if name in _SHAPE_READERS:
        return True
    integers = all(_counts(graph.tensors[i]) for i in node.outputs)
    exact = name in _COPIES or (name in _INTEGER_ARITHMETIC and integers)
    return exact and known.issuperset(node.inputs)


def _is_foreseen(graph: FileGraph, node: OperatorNode, known: set[int]) -> bool:
    """Whether the shapes of an operator's results follow from the shapes of its operands."""
    if node.info.name.startswith(_UNFORESEEN):
        return False
    return node.info.name in _INTEGERS_AS_DATA or all(
        i in known or not _counts(graph.tensors[i]) for i in node.inputs
    )


def _counts(tensor: TensorInfo) -> bool:
    """Whether its values are integers that stand for themselves."""
    return tensor.dtype in _INTEGERS and not tensor.scales


def _fixed(graph: FileGraph, static: _Static, path: Path, bounds: Bounds) -> bytes:
    try:
        answers = _computed(graph, static, bounds)
        values = dict(zip(static.values, answers[: len(static.values)], strict=True))
        found = answers[len(static.values) :]
        shapes = {i: shape.tolist() for i, shape in zip(static.shapes, found, strict=True)}
        shapes |= {i: [1, *graph.tensors[i].shape[1:]] for i in static.open_inputs}
        return rewritten(graph, set(static.operators), values, shapes)
    except InterpreterError as error:
        raise _open(
            graph, static, path, f"LiteRT does not run the model: {error.reason}"
        ) from error
    except EXTRACT_DAMAGE as error:
        raise _open(graph, static, path, f"the model is damaged: {error}") from error


def _computed(graph: FileGraph, static: _Static, bounds: Bounds) -> tuple[Array, ...]:
    """LiteRT's answers to `probe`."""
    inputs = [graph.tensors[i] for i in graph.inputs]
    request = Request(
        interpreter=Interpreter.LITERT,
        model=probe(graph, static.values, static.shapes),
        # One row of one step. No result depends on the values.
        inputs=tuple(np.zeros((1, 1, *tensor.shape), tensor.dtype) for tensor in inputs),
        outputs=len(static.values) + len(static.shapes),
        fresh=True,
    )
    return tuple(rows[0, 0] for rows in shared_interpreters().run(request, bounds))


def _changes(graph: FileGraph, static: _Static) -> tuple[str, str]:
    inputs = ", ".join(graph.tensors[i].name for i in static.open_inputs)
    counted = Counter(graph.operators[number].info.name for number in static.operators)
    listing = ", ".join(f"{count} {name}" for name, count in sorted(counted.items()))
    return (
        f"the open batch of {inputs} is fixed to 1",
        f"operators that computed only with shapes are replaced with their results: {listing}",
    )


def _open(graph: FileGraph, static: _Static, path: Path, why: str) -> ModelError:
    names = ", ".join(repr(graph.tensors[i].name) for i in static.open_inputs)
    return ModelError(
        f"{path}: the batch of {names} is open and cannot be fixed to 1: {why}", cure=_BATCH_CURE
    )
