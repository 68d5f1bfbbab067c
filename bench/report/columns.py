"""Which columns of a table fit a terminal: the most telling ones, whole, in their usual order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from bench.core.text import one_line

__all__ = ["Column", "Line", "fitted", "made_table"]

#: What a column takes besides its text: a blank on each side and a rule.
_RULES = 3
#: No cell is wider than this share of the table; a longer name is cut.
_WIDEST = 0.4


@dataclass(frozen=True)
class Column:
    """A column that a table can have."""

    key: str
    heading: str
    #: Less is more telling; columns of 0 are always there.
    rank: int
    right: bool = True


@dataclass(frozen=True)
class Line:
    """A row: its text by column; a column that it lacks is empty."""

    cells: Mapping[str, str]
    style: str = ""
    #: The style of single cells.
    styles: Mapping[str, str] | None = None


def _escaped(line: Line) -> Line:
    """A row without what a terminal obeys, which is as wide as it looks."""
    return replace(line, cells={key: one_line(cell) for key, cell in line.cells.items()})


def fitted(columns: Sequence[Column], lines: Sequence[Line], width: int) -> list[Column]:
    """The columns that fit `width` together, in their given order. Empty ones are left out."""
    filled = [c for c in columns if c.rank == 0 or any(line.cells.get(c.key) for line in lines)]
    chosen: set[str] = set()
    # A rule at the right end.
    room = width - 1
    for column in sorted(filled, key=lambda column: column.rank):
        needed = _natural(column, lines, width) + _RULES
        if column.rank == 0 or needed <= room:
            chosen.add(column.key)
            room -= needed
    return [column for column in filled if column.key in chosen]


def _natural(column: Column, lines: Sequence[Line], width: int) -> int:
    longest = max((cell_len(line.cells.get(column.key, "")) for line in lines), default=0)
    return max(cell_len(column.heading), min(longest, int(width * _WIDEST)))


def made_table(columns: Sequence[Column], lines: Sequence[Line], width: int, title: str) -> Table:
    """A table of at most `width` columns of text, in which no row is ever wrapped."""
    lines = [_escaped(line) for line in lines]
    table = Table(title=title, title_justify="left", header_style="bold", box=box.HEAVY_HEAD)
    kept = fitted(columns, lines, width)
    for column in kept:
        table.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=max(cell_len(column.heading), int(width * _WIDEST)),
        )
    for line in lines:
        styles = line.styles or {}
        cells = (Text(line.cells.get(c.key, ""), style=styles.get(c.key, "")) for c in kept)
        table.add_row(*cells, style=line.style)
    return table
