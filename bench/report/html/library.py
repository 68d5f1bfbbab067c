"""The library that draws the charts, as one script: Vega, which ships with the bench."""

from __future__ import annotations

from functools import lru_cache

from bench.report.html.rendering import asset

__all__ = ["LIBRARY", "chart_library"]

#: Its file among the assets; `bench/report/html/bundle.py` makes it.
LIBRARY = "vega.min.js"


@lru_cache(maxsize=1)
def chart_library() -> str:
    """The script, which defines `vegaEmbed` for the page that it stands in."""
    return asset(LIBRARY)
