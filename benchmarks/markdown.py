"""Tables for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["header", "line", "table"]


def line(cells: Iterable[object]) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def header(titles: Sequence[str]) -> str:
    """The two lines above the rows."""
    return f"{line(titles)}\n{line('---' for _ in titles)}"


def table(titles: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A whole table, without an end of line."""
    return "\n".join([header(titles), *map(line, rows)])
