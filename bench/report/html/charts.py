"""The charts of a page, as Vega-Lite specifications. The page gives each its rows when it is drawn.

Variants have a colour and a shape, so that nobody has to tell colours apart. Colours of text, grid
and background come from the page, which is light or dark.
"""

from __future__ import annotations

from typing import Any

from bench.report.html.marks import (
    CAUSES,
    SCHEMA,
    WIDTH,
    colour,
    log_axis,
    rows_of,
    shape,
    tooltip,
)
from targets.ethos_u55.accelerators import MAC_COUNTS

__all__ = ["CAUSES", "CHARTS", "chart_specs"]


def _cycles() -> dict[str, Any]:
    """Cycles over MACs. A line that leaves its ideal one says that memory or overhead binds."""
    x = log_axis("macs", "MACs of the accelerator", 2)
    x["axis"] = {"values": list(MAC_COUNTS), "format": "d", "grid": False}
    y = log_axis("cycles", "NPU cycles")
    y["axis"] = {"format": "~s", "tickCount": 5}
    place = {"x": x, "y": y, "color": colour()}
    told = tooltip(
        ("variant", "variant", ""),
        ("macs", "MACs", "d"),
        ("cycles", "cycles", ",d"),
        ("what", "what", ""),
    )
    return {
        **WIDTH,
        "height": 300,
        "description": "NPU cycles of each variant over the MACs of the accelerator, with the line "
        "on which twice the MACs halve the cycles.",
        "layer": [
            {
                "transform": rows_of("ideal"),
                "mark": {"type": "line", "strokeDash": [3, 4], "opacity": 0.65, "strokeWidth": 1.5},
                "encoding": place,
            },
            {
                "transform": rows_of("ours"),
                "mark": {"type": "line", "strokeWidth": 2.5},
                "encoding": place,
            },
            {
                "transform": rows_of("ours"),
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {**place, "shape": shape(), "tooltip": told, "href": {"field": "url"}},
            },
            {
                "transform": rows_of("published"),
                "mark": {"type": "point", "filled": False, "size": 130, "strokeWidth": 2},
                "encoding": {**place, "shape": shape(), "tooltip": told},
            },
        ],
    }


def _pareto() -> dict[str, Any]:
    """Accuracy over size. The ring marks what no other variant beats in all three."""
    place = {
        "x": {
            "field": "size",
            "type": "quantitative",
            "title": "model on the device, KiB",
            "scale": {"zero": False, "padding": 44},
        },
        "y": {
            "field": "accuracy",
            "type": "quantitative",
            "title": {"expr": "merit"},
            "scale": {"zero": False, "padding": 22},
            "axis": {"format": "~g", "tickCount": 5},
        },
    }
    told = tooltip(
        ("variant", "variant", ""),
        ("accuracy", "accuracy", ".4f"),
        ("size", "model, KiB", ",.2f"),
        ("cycles", "cycles", ",d"),
        ("front", "on the front", ""),
    )
    size = {
        "field": "cycles",
        "type": "quantitative",
        "title": "cycles",
        "scale": {"range": [60, 900], "zero": True},
        "legend": {"orient": "bottom", "format": "~s", "tickCount": 3, "symbolFillColor": "#888"},
    }
    return {
        **WIDTH,
        "height": 300,
        "params": [{"name": "merit", "value": "accuracy"}],
        "description": "Accuracy over model size; a larger mark takes more cycles. Rings mark the "
        "variants that no other beats in accuracy, size and cycles together.",
        "layer": [
            {
                "mark": {"type": "point", "filled": True, "opacity": 0.75},
                "encoding": {
                    **place,
                    "size": size,
                    "color": {**colour(), "legend": None},
                    "tooltip": told,
                    "href": {"field": "url"},
                },
            },
            {
                "transform": [{"filter": {"field": "front", "equal": "yes"}}],
                "mark": {"type": "point", "filled": False, "strokeWidth": 2, "opacity": 1},
                "encoding": {
                    **place,
                    "size": size,
                    "color": {"value": {"expr": "foreground"}},
                    "tooltip": told,
                },
            },
            {
                "mark": {"type": "text", "dy": -20, "fontSize": 12},
                "encoding": {**place, "text": {"field": "variant"}},
            },
        ],
    }


def _roofline() -> dict[str, Any]:
    """MACs a cycle over MACs a byte. Left of the bend of a roof memory is the limit, else MACs."""
    x = log_axis("intensity", "MACs a byte from AXI1 (constants)")
    x["axis"] = {"format": "~g", "tickCount": 6}
    y = log_axis("rate", "MACs a cycle")
    y["axis"] = {"format": "~g", "tickCount": 6}
    place = {"x": x, "y": y}
    told = tooltip(
        ("variant", "variant", ""),
        ("macs", "MACs", "d"),
        ("memory", "memory mode", ""),
        ("intensity", "MACs a byte", ".3~s"),
        ("rate", "MACs a cycle", ".3~s"),
        ("possible", "possible here", ".3~s"),
    )
    return {
        **WIDTH,
        "height": 300,
        "description": "MACs a cycle over MACs a byte of constants, below the roofs of each memory "
        "profile and accelerator.",
        "layer": [
            {
                "transform": rows_of("roof"),
                "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.8},
                "encoding": {
                    **place,
                    "detail": {"field": "roof"},
                    "strokeDash": {
                        "field": "memory",
                        "title": "roof",
                        "legend": {"orient": "bottom", "columns": 1, "labelLimit": 320},
                    },
                    "color": {"value": {"expr": "muted"}},
                    "order": {"field": "intensity"},
                },
            },
            {
                "transform": [*rows_of("roof"), {"filter": "datum.label !== null"}],
                "mark": {"type": "text", "align": "right", "dy": -7, "fontSize": 11},
                "encoding": {**place, "text": {"field": "label"}},
            },
            {
                "transform": rows_of("ours"),
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 0.9},
                "encoding": {
                    **place,
                    "color": colour(),
                    "shape": shape(),
                    "tooltip": told,
                    "href": {"field": "url"},
                },
            },
        ],
    }


def _layers() -> dict[str, Any]:
    """The layers of one cell, stacked by what their operations wait for."""
    return {
        **WIDTH,
        "height": 200,
        "description": "Cycles of each layer, stacked by what binds its operations.",
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "layer",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"labelLimit": 150, "ticks": False, "domain": False},
            },
            "x": {
                "field": "cycles",
                "type": "quantitative",
                "title": "cycles",
                "stack": "zero",
                "axis": {"format": "~s", "orient": "top", "tickCount": 5},
            },
            "color": {
                "field": "cause",
                "type": "nominal",
                "title": "bound by",
                "scale": {"domain": list(CAUSES), "range": list(CAUSES.values())},
                "legend": {"orient": "bottom"},
            },
            "tooltip": tooltip(
                ("layer", "layer", ""), ("cause", "bound by", ""), ("cycles", "cycles", ",d")
            ),
        },
    }


#: Name of a chart -> its specification.
CHARTS = {"cycles": _cycles, "pareto": _pareto, "roofline": _roofline, "layers": _layers}


def chart_specs() -> dict[str, Any]:
    """All charts, without their rows, which the page puts under `data.values`."""
    return {
        name: {"$schema": SCHEMA, "data": {"name": "rows"}, **make()}
        for name, make in CHARTS.items()
    }
