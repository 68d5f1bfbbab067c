"""Data for a page: JSON that no record can break out of, small, and unpacked only where needed."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from bench.core.text import printable

__all__ = ["coded", "compressed", "number", "rounded", "script_json", "text"]

#: Level 6 of zlib; higher levels take several times as long, for a few per cent.
_LEVEL = 6
#: Characters of a text that a page shows; a longer one is cut, which is said.
_LONGEST = 4_000


def text(value: str) -> str:
    """A text from outside for a page: control and bidirectional characters escaped, and bounded."""
    shown = printable(value)
    if len(shown) <= _LONGEST:
        return shown
    return f"{shown[:_LONGEST]} ... ({len(shown) - _LONGEST:,} more characters)"


def number(value: float | None) -> float | None:
    """A figure for JSON, which has neither NaN nor infinity."""
    return None if value is None or not math.isfinite(value) else value


def rounded(value: float | None, digits: int = 6) -> float | None:
    """The same with so many significant digits, which is as many as anybody sees."""
    value = number(value)
    if not value:
        return value
    places = digits - 1 - math.floor(math.log10(abs(value)))
    short = round(value, places)
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def coded(values: Sequence[Hashable]) -> dict[str, Any]:
    """A column with few different values: these once, and for each row which it is."""
    places: dict[Hashable, int] = {}
    codes = [places.setdefault(value, len(places)) for value in values]
    return {"values": list(places), "codes": codes}


def script_json(value: object) -> str:
    """`value` as JSON that can stand inside a `script` element.

    HTML ends a script at `</script`, and `<!--` hides its end; so no `<` is left. U+2028 and U+2029
    are escaped with everything else beyond ASCII.
    """
    written = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def compressed(items: Iterable[object], each: int) -> list[str]:
    """`items` as JSON arrays of `each` of them, compressed with zlib, in base64."""
    chunks: list[str] = []
    batch: list[object] = []
    for item in items:
        batch.append(item)
        if len(batch) == each:
            chunks.append(_packed(batch))
            batch = []
    if batch:
        chunks.append(_packed(batch))
    return chunks


def _packed(batch: Sequence[object]) -> str:
    written = json.dumps(batch, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(written.encode("ascii"), _LEVEL)).decode("ascii")
