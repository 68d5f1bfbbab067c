"""The charts of a page, as Vega-Lite specifications. The page gives each its rows when it is drawn.

Variants have a colour and a shape, so that nobody has to tell colours apart. Colours of text, grid
and background come from the page, which is light or dark.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CAUSES", "CHARTS", "chart_specs", "trend_spec"]

#: Eight colours that people with colour blindness can tell apart (Okabe and Ito, 2008), without
#: black and yellow, which one of the two backgrounds swallows.
_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6bb1", "#7f7f7f"]
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
#: What binds an operation -> its colour, the same in every chart.
CAUSES = {
    "compute": "#0072b2",
    "weight decode": "#56b4e9",
    "flash": "#d55e00",
    "sram": "#e69f00",
    "dram": "#cc79a7",
    "latency": "#8c6bb1",
    "issue": "#7f7f7f",
}
_WIDTH: dict[str, Any] = {
    "width": "container",
    "autosize": {"type": "fit-x", "contains": "padding"},
    "transform": [{"calculate": "datum.variant", "as": "mark"}],
}
_VARIANT: dict[str, Any] = {
    "field": "variant",
    "type": "nominal",
    "sort": None,
    "title": None,
    "legend": {"orient": "bottom"},
}


def _tooltip(*fields: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {"field": field, "title": title, **({"format": form} if form else {})}
        for field, title, form in fields
    ]


def _colour() -> dict[str, Any]:
    return {**_VARIANT, "scale": {"range": _COLOURS}}


def _shape() -> dict[str, Any]:
    # Of a field of its own, as Vega-Lite would make one legend of shapes and colours of one field.
    return {**_VARIANT, "field": "mark", "legend": None, "scale": {"range": _SHAPES}}


def _log(field: str, title: str, base: int = 10) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "base": base, "nice": False, "padding": 14},
    }


def _of(kind: str) -> list[dict[str, Any]]:
    return [{"filter": {"field": "kind", "equal": kind}}]


def _cycles() -> dict[str, Any]:
    """Cycles over MACs. A line that leaves its ideal one says that memory or overhead binds."""
    x = _log("macs", "MACs of the accelerator", 2)
    x["axis"] = {"values": [32, 64, 128, 256], "format": "d", "grid": False}
    y = _log("cycles", "NPU cycles")
    y["axis"] = {"format": "~s", "tickCount": 5}
    place = {"x": x, "y": y, "color": _colour()}
    told = _tooltip(
        ("variant", "variant", ""),
        ("macs", "MACs", "d"),
        ("cycles", "cycles", ",d"),
        ("what", "what", ""),
    )
    return {
        **_WIDTH,
        "height": 300,
        "description": "NPU cycles of each variant over the MACs of the accelerator, with the line "
        "on which twice the MACs halve the cycles.",
        "layer": [
            {
                "transform": _of("ideal"),
                "mark": {"type": "line", "strokeDash": [3, 4], "opacity": 0.65, "strokeWidth": 1.5},
                "encoding": place,
            },
            {
                "transform": _of("ours"),
                "mark": {"type": "line", "strokeWidth": 2.5},
                "encoding": place,
            },
            {
                "transform": _of("ours"),
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {**place, "shape": _shape(), "tooltip": told, "href": {"field": "url"}},
            },
            {
                "transform": _of("published"),
                "mark": {"type": "point", "filled": False, "size": 130, "strokeWidth": 2},
                "encoding": {**place, "shape": _shape(), "tooltip": told},
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
    told = _tooltip(
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
        **_WIDTH,
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
                    "color": {**_colour(), "legend": None},
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
    x = _log("intensity", "MACs a byte from AXI1 (constants)")
    x["axis"] = {"format": "~g", "tickCount": 6}
    y = _log("rate", "MACs a cycle")
    y["axis"] = {"format": "~g", "tickCount": 6}
    place = {"x": x, "y": y}
    told = _tooltip(
        ("variant", "variant", ""),
        ("macs", "MACs", "d"),
        ("memory", "memory mode", ""),
        ("intensity", "MACs a byte", ".3~s"),
        ("rate", "MACs a cycle", ".3~s"),
        ("possible", "possible here", ".3~s"),
    )
    return {
        **_WIDTH,
        "height": 300,
        "description": "MACs a cycle over MACs a byte of constants, below the roofs of each memory "
        "profile and accelerator.",
        "layer": [
            {
                "transform": _of("roof"),
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
                "transform": [*_of("roof"), {"filter": "datum.label !== null"}],
                "mark": {"type": "text", "align": "right", "dy": -7, "fontSize": 11},
                "encoding": {**place, "text": {"field": "label"}},
            },
            {
                "transform": _of("ours"),
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 0.9},
                "encoding": {
                    **place,
                    "color": _colour(),
                    "shape": _shape(),
                    "tooltip": told,
                    "href": {"field": "url"},
                },
            },
        ],
    }


def _layers() -> dict[str, Any]:
    """The layers of one cell, stacked by what their operations wait for."""
    return {
        **_WIDTH,
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
            "tooltip": _tooltip(
                ("layer", "layer", ""), ("cause", "bound by", ""), ("cycles", "cycles", ",d")
            ),
        },
    }


#: Name of a chart -> its specification.
CHARTS = {"cycles": _cycles, "pareto": _pareto, "roofline": _roofline, "layers": _layers}


_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


def chart_specs() -> dict[str, Any]:
    """All charts, without their rows, which the page puts under `data.values`."""
    return {
        name: {"$schema": _SCHEMA, "data": {"name": "rows"}, **make()}
        for name, make in CHARTS.items()
    }


def trend_spec(title: str) -> dict[str, Any]:
    """A figure, called `title`, over the runs of the history; for a page of its own."""
    x = {
        "field": "place",
        "type": "quantitative",
        "title": "runs, oldest first",
        "scale": {"nice": False, "padding": 16},
        "axis": {"format": "d", "tickMinStep": 1, "grid": False},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": title,
        "scale": {"zero": False, "padding": 18},
        "axis": {"format": "~s"},
    }
    told = _tooltip(
        ("run", "run", ""),
        ("started", "started", ""),
        ("commit", "commit", ""),
        ("value", "value", ",.6~g"),
        ("why", "what changed", ""),
    )
    of_figures = {"filter": {"field": "kind", "oneOf": ["run", "step"]}}
    return {
        "$schema": _SCHEMA,
        "data": {"name": "rows"},
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "height": 320,
        "description": "The figure over the runs, with its steps and the changes of tools.",
        "layer": [
            {
                "transform": _of("tool"),
                "mark": {"type": "rule", "strokeDash": [4, 4], "color": {"expr": "muted"}},
                "encoding": {"x": x, "tooltip": _tooltip(("tools", "tools", ""))},
            },
            {
                "transform": _of("tool"),
                "mark": {"type": "text", "align": "left", "dx": 4, "y": 8, "limit": 220},
                "encoding": {"x": x, "text": {"field": "tools"}},
            },
            {
                "transform": [of_figures],
                "mark": {"type": "line", "interpolate": "step-after", "color": _COLOURS[0]},
                "encoding": {"x": x, "y": y},
            },
            {
                "transform": [of_figures],
                "mark": {"type": "point", "filled": True, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "tooltip": told,
                    "color": {
                        "field": "kind",
                        "scale": {"domain": ["run", "step"], "range": [_COLOURS[0], _COLOURS[1]]},
                        "legend": None,
                    },
                    "size": {
                        "condition": {"test": "datum.kind === 'step'", "value": 160},
                        "value": 36,
                    },
                },
            },
        ],
    }
