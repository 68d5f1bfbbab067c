"""The cycles of a cell as node data for Model Explorer, which colours the graph of its model.

Open the model that was given to Vela (`.tflite`) in Model Explorer and add the file of its cell.
Nodes are named by the tensors that they give.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.records.record import Record
from bench.report.run_view import RunView

__all__ = ["node_data_files"]

#: The name of a TFLite model's only graph.
_GRAPH = "main"
#: From few cycles to many.
_GRADIENT = [
    {"stop": 0, "bgColor": "#e8f1fa"},
    {"stop": 0.5, "bgColor": "#f2c14e"},
    {"stop": 1, "bgColor": "#d55e00"},
]


def node_data_files(view: RunView) -> Iterator[tuple[str, str]]:
    """Name and text of a file for each measured cell whose layers are known."""
    for record in view.records:
        cycles = _cycles(record)
        if cycles:
            results = {tensor: {"value": value} for tensor, value in cycles.items()}
            document = {_GRAPH: {"results": results, "gradient": _GRADIENT}}
            yield f"{record.cell.id}.json", json.dumps(document, indent=1) + "\n"


def _cycles(record: Record) -> dict[str, int]:
    """Name of a tensor -> the NPU cycles of what gives it, an estimate; by Vela without others."""
    found: dict[str, int] = {}
    for row in record.measurement.layers:
        # One operation may give several tensors that were fused: the last is its output.
        if row.tensor:
            found[row.tensor] = found.get(row.tensor, 0) + row.total
    if found:
        return found
    for layer in record.compilation.report.layers:
        if layer.op_cycles:
            found[layer.name] = found.get(layer.name, 0) + layer.op_cycles
    return found
