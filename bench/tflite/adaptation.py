"""A user's model as the bench takes it. What is changed in the file is exact, and is told.

Converters leave things in a file that mean nothing to an NPU, or that Vela does not compile: shapes
that are computed (`folding`), and a float interface (`float_ends`). Where a model without them
gives the same answers, the bench takes that one instead of refusing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import ModelError
from bench.core.processes import Bounds
from bench.tflite.extract import EXTRACT_DAMAGE
from bench.tflite.float_ends import find_float_ends
from bench.tflite.folding import computes_constants, fold
from bench.tflite.graph import VELA_OPERATOR, FileGraph
from bench.tflite.interpreters import INTERPRETER_BOUNDS
from bench.tflite.reader import graph_of
from bench.tflite.rewriting import cut_off

__all__ = ["Adapted", "adapt", "needs_adapting"]


@dataclass(frozen=True)
class Adapted:
    """The model that is compiled and run."""

    data: bytes
    #: How it differs from the user's file, for people: a sentence each.
    changes: tuple[str, ...]


def needs_adapting(graph: FileGraph) -> bool:
    """Whether `adapt` would change anything. It never changes what Vela wrote."""
    if any(node.info.custom == VELA_OPERATOR for node in graph.operators):
        return False
    return computes_constants(graph) or bool(find_float_ends(graph).operators)


def adapt(graph: FileGraph, path: Path, bounds: Bounds = INTERPRETER_BOUNDS) -> Adapted:
    """The model of `graph`, which is the file at `path`, as the bench takes it.

    Raises as `fold` does, and `ModelError` where the file is damaged.
    """
    if not needs_adapting(graph):
        return Adapted(graph.data, ())
    changes: tuple[str, ...] = ()
    if computes_constants(graph):
        folded = fold(graph, path, bounds)
        graph, changes = graph_of(folded.data, path), folded.changes
    ends = find_float_ends(graph)
    if not ends.operators:
        return Adapted(graph.data, changes)
    try:
        data = cut_off(graph, ends.operators, ends.tensors)
    except EXTRACT_DAMAGE as error:
        raise ModelError(
            f"{path}: its float interface cannot be cut off: {error}",
            cure="convert it with inference_input_type and inference_output_type int8",
        ) from error
    told = f"its float interface is the CPU's work and is not measured: {ends.words}"
    return Adapted(data, (*changes, told))
