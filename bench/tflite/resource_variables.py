"""Resource variables: state that a `.tflite` keeps under a name, beside its tensors.

VAR_HANDLE names a variable, READ_VARIABLE and ASSIGN_VARIABLE copy it to and from a tensor, and
CALL_ONCE runs a subgraph at the first inference, which assigns the values at the start. These are
the semantics of TensorFlow Lite (`tensorflow/lite/kernels/var_handle.cc` and beside it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from bench.core.errors import ModelError
from bench.core.text import one_line
from bench.tflite.graph import FileGraph
from bench.tflite.reader import MODEL_DAMAGE, read_subgraph

__all__ = ["assigned_once", "variable_names"]


def variable_names(graph: FileGraph) -> dict[int, str]:
    """The tensors that are handles, and the names of their variables. Raises `ModelError`."""
    return {
        node.outputs[0]: _name(graph, number)
        for number, node in enumerate(graph.operators)
        if node.info.name == "VAR_HANDLE" and node.outputs
    }


def assigned_once(graph: FileGraph, operator: int) -> Mapping[str, npt.NDArray[np.uint8]]:
    """What the CALL_ONCE `operator` of `graph` assigns: variable -> its bytes.

    Raises `ModelError` if its subgraph does anything but assign constants.
    """
    options = _options(graph, operator, schema.CallOnceOptions)
    once = read_subgraph(graph, options.InitSubgraphIndex())
    names = variable_names(once)
    values: dict[str, npt.NDArray[np.uint8]] = {}
    for node in once.operators:
        if node.info.name == "VAR_HANDLE":
            continue
        handle, source = node.inputs if len(node.inputs) == 2 else (-1, -1)
        constant = once.constants[source] if source >= 0 else None
        if node.info.name != "ASSIGN_VARIABLE" or handle not in names or constant is None:
            raise ModelError(
                f"it runs {node.info.custom or node.info.name} once, at the first inference, and "
                "only constants are assigned there by what the bench simulates",
                cure="convert the model so that its state starts from constants",
            )
        values[names[handle]] = constant
    return values


def _name(graph: FileGraph, operator: int) -> str:
    """Container and name together are what makes two variables one."""
    options = _options(graph, operator, schema.VarHandleOptions)
    parts = [part or b"" for part in (options.Container(), options.SharedName())]
    return "/".join(one_line(part.decode("utf-8", "replace")) for part in parts)


def _options(graph: FileGraph, operator: int, kind: Any) -> Any:
    """The options of an operator, which `kind` reads."""
    try:
        model = schema.Model.GetRootAsModel(graph.data, 0)
        table = model.Subgraphs(graph.subgraph).Operators(operator).BuiltinOptions()
        if table is None:
            raise ValueError("it has no options")
        options = kind()
        options.Init(table.Bytes, table.Pos)
    except MODEL_DAMAGE as error:
        raise ModelError(
            f"operator {operator} is damaged: {error}", cure="convert the model again"
        ) from error
    return options
