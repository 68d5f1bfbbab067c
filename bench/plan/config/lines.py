"""The lines of the keys in a TOML file, so that reports can point at the line of a limit.

The standard library's reader does not say. This code follows table headers and the first line of
each key. It leaves all syntax to the reader, because the text has already been read.
"""

from __future__ import annotations

import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["key_lines"]

_HEADER = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w.-]|"[^"]*"|'[^']*')+)\s*=""")


def key_lines(text: str) -> dict[str, int]:
    """The line, from 1, of each table and key: `workloads.x.limits[0].max` -> 17.

    Keys of arrays of tables have an index. A key inside an inline table or array is not listed; the
    key around it is.
    """
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            name = _dotted(f"[{header[2]}]")
            if name is None:
                continue
            # A table inside the last element of an array of tables belongs to that element.
            name = _with_places(name, counts)
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                name = f"{name}[{counts[name]}]"
            table = name
            found.setdefault(table, number)
            continue
        key = _KEY.match(line)
        name = _dotted(f"{key[1]} = 0") if key else None
        if name is not None:
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found


def _dotted(snippet: str) -> str | None:
    """The dotted name that a header or key defines; None for anything else."""
    try:
        node: Any = tomllib.loads(snippet)
    except tomllib.TOMLDecodeError:
        return None
    parts = []
    while isinstance(node, dict) and node:
        ((part, node),) = node.items()
        parts.append(part)
    return ".".join(parts)


def _with_places(name: str, counts: dict[str, int]) -> str:
    """`name` with the index of the last element after each array of tables in it."""
    done = ""
    parts = name.split(".")
    for i, part in enumerate(parts):
        done = f"{done}.{part}" if done else part
        if done in counts and i < len(parts) - 1:
            done = f"{done}[{counts[done]}]"
    return done
