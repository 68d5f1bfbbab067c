"""The library that draws the charts: Vega, out of the package vl-convert-python, as one script."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from bench.cache import ArtefactCache, CacheKey

__all__ = ["chart_library"]

_KIND = "chart_library"
_FILE = "vega.js"
#: What a page uses of it; `interpreter` evaluates expressions without `eval`, which the page's
#: policy forbids.
_WANTED = "window.vegaEmbed = vegaEmbed;"


def chart_library(cache: ArtefactCache) -> str:
    """The script, which defines `vegaEmbed` for the page that it stands in.

    To put it together takes some seconds, so it is kept in `cache`. Raises `CacheError` if it
    cannot be kept there.
    """
    version = metadata.version("vl-convert-python")
    entry = cache.get_or_build(CacheKey(_KIND, {"version": version, "snippet": _WANTED}), _build)
    return entry.file(_FILE).read_text(encoding="utf-8")


def _build(directory: Path) -> None:
    # A large library that is needed once.
    import vl_convert

    bundle = vl_convert.javascript_bundle(_WANTED)
    # Its names are its own, and nothing in it ends the element that it stands in.
    script = bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    (directory / _FILE).write_text(f"(() => {{\n{script}\n}})();\n", encoding="utf-8")
