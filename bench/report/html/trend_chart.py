"""The chart of a trend page, as a Vega-Lite specification."""

from __future__ import annotations

from typing import Any

from bench.report.html.marks import COLOURS, SCHEMA, rows_of, tooltip

__all__ = ["trend_spec"]


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
    told = tooltip(
        ("run", "run", ""),
        ("started", "started", ""),
        ("commit", "commit", ""),
        ("value", "value", ",.6~g"),
        ("why", "what changed", ""),
    )
    of_figures = {"filter": {"field": "kind", "oneOf": ["run", "step"]}}
    return {
        "$schema": SCHEMA,
        "data": {"name": "rows"},
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "height": 320,
        "description": "The figure over the runs, with its steps and the changes of tools.",
        "layer": [
            {
                "transform": rows_of("tool"),
                "mark": {"type": "rule", "strokeDash": [4, 4], "color": {"expr": "muted"}},
                "encoding": {"x": x, "tooltip": tooltip(("tools", "tools", ""))},
            },
            {
                "transform": rows_of("tool"),
                "mark": {"type": "text", "align": "left", "dx": 4, "y": 8, "limit": 220},
                "encoding": {"x": x, "text": {"field": "tools"}},
            },
            {
                "transform": [of_figures],
                "mark": {"type": "line", "interpolate": "step-after", "color": COLOURS[0]},
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
                        "scale": {"domain": ["run", "step"], "range": [COLOURS[0], COLOURS[1]]},
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
