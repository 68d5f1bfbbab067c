"""The timeline of an estimate as a Chrome trace, for Perfetto (ui.perfetto.dev).

Format: the "Trace Event Format", complete events (`ph` = X) on one thread for each engine and one
for each AXI port. A microsecond in the viewer is an NPU cycle.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from targets.simulator.timing.layers import operation_label
from targets.simulator.timing.results import Engine, NetworkTiming, OperationTiming, Span

__all__ = ["chrome_trace"]

_ENGINES, _PORTS = 1, 2
_LANES = {engine: lane for lane, engine in enumerate(Engine, start=1)}


def chrome_trace(
    timing: NetworkTiming,
    vela_cycles: int | None = None,
    layers: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The trace, ready for `json.dump`, with Vela's own estimate if it is given.

    `layers` maps operations, by their labels, to the names of their layers.
    A bar reaches from the first to the last time an operation used an engine. If two operations
    overlap in an engine, the later one is drawn below the first.
    """
    events = [
        _name("process_name", _ENGINES, 0, "NPU engines (estimate)"),
        _name("process_name", _PORTS, 0, "AXI ports (estimate)"),
        *(_name("thread_name", _ENGINES, lane, e.value) for e, lane in _LANES.items()),
        *(_name("thread_name", _PORTS, port + 1, f"AXI{port}") for port in (0, 1)),
    ]
    for span in timing.commands:
        events += _bars(span, "command fetch", {})
    for row in timing.operations:
        layer = layers.get(operation_label(row.operation), "")
        label = f"{row.index} {type(row.operation).__name__} {layer}".rstrip()
        for span in row.spans:
            events += _bars(span, label, {"layer": layer, **_arguments(row)})
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "npu_active_cycles_estimate": timing.npu_active,
            "vela_cycles_estimate": vela_cycles,
            "macs": timing.macs,
            "memory_mode": timing.mode.value,
            "time_unit": "1 us = 1 NPU cycle",
        },
    }


def _bars(span: Span, label: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """The bar in the engine's lane, and another in its port's."""
    bars = [_bar(_ENGINES, _LANES[span.engine], span, label, arguments)]
    if span.port is not None:
        bars.append(_bar(_PORTS, span.port + 1, span, f"{span.engine.value}: {label}", arguments))
    return bars


def _bar(
    process: int, thread: int, span: Span, label: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": label,
        "cat": span.engine.value,
        "pid": process,
        "tid": thread,
        "ts": round(span.start, 3),
        "dur": round(max(span.end - span.start, 0.0), 3),
        "args": arguments,
    }


def _arguments(row: OperationTiming) -> dict[str, Any]:
    return {
        "bound_by": row.bound_by.value,
        "total": round(row.total),
        "compute": round(row.compute),
        "weight_decode": round(row.weight_decode),
        "flash": round(row.flash),
        "sram": round(row.sram),
    }


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}
