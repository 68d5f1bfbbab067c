"""Colours, shapes and axes that charts share, as parts of Vega-Lite specifications."""

from __future__ import annotations

from typing import Any

__all__ = [
    "CAUSES",
    "COLOURS",
    "SCHEMA",
    "WIDTH",
    "colour",
    "log_axis",
    "rows_of",
    "shape",
    "tooltip",
]

#: Eight colours that people with colour blindness can tell apart (Okabe and Ito, 2008), without
#: black and yellow, which one of the two backgrounds swallows.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6bb1", "#7f7f7f"]
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
#: Of the specifications.
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
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
#: Every chart is as wide as its place.
WIDTH: dict[str, Any] = {
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


def tooltip(*fields: tuple[str, str, str]) -> list[dict[str, Any]]:
    """What a mark tells: field, title and format of each line."""
    return [
        {"field": field, "title": title, **({"format": form} if form else {})}
        for field, title, form in fields
    ]


def colour() -> dict[str, Any]:
    """A colour for each variant."""
    return {**_VARIANT, "scale": {"range": COLOURS}}


def shape() -> dict[str, Any]:
    """A shape for each variant."""
    # Of a field of its own, as Vega-Lite would make one legend of shapes and colours of one field.
    return {**_VARIANT, "field": "mark", "legend": None, "scale": {"range": _SHAPES}}


def log_axis(field: str, title: str, base: int = 10) -> dict[str, Any]:
    """A logarithmic axis of `field`."""
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "base": base, "nice": False, "padding": 14},
    }


def rows_of(kind: str) -> list[dict[str, Any]]:
    """The rows of one kind."""
    return [{"filter": {"field": "kind", "equal": kind}}]
