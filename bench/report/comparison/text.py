"""A comparison as text for a terminal of 90 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from bench.core.text import counted, one_line
from bench.history.comparison import (
    CellComparison,
    Comparison,
    FigureOutcome,
    SideName,
)
from bench.report.comparison.words import (
    change_words,
    changed_figures,
    floor_words,
    largest_layers,
    layer_words,
    missing_groups,
    output_words,
    shown_cells,
    total_rows,
    verdict,
)

__all__ = ["comparison_text"]

_WIDTH = 90
#: Cells that are shown with all their figures and layers; the others have a line each.
_IN_FULL = 10
#: Layers of a cell, and cells of a list, that are shown.
_LAYERS = 6
_LISTED = 8


def comparison_text(comparison: Comparison) -> str:
    """`comparison` for people; the JSON has what is left out here."""
    return "\n".join(_lines(comparison)) + "\n"


def _lines(comparison: Comparison) -> Iterator[str]:
    yield _side("A", comparison.a)
    yield _side("B", comparison.b)
    for name, side in (("A", comparison.a), ("B", comparison.b)):
        yield from (_wrapped(f"{name}: {fault}") for fault in side.unreadable)
    yield ""
    yield ", ".join(f"{count:,} {what}" for what, count in total_rows(comparison))
    if floor_words(comparison):
        yield floor_words(comparison)
    yield from _causes(comparison)
    cells = shown_cells(comparison)
    for cell in cells[:_IN_FULL]:
        yield from _cell(cell)
    yield from _others(cells[_IN_FULL:])
    yield from _missing(comparison)
    yield from _list("only in A", comparison.only_in_a)
    yield from _list("only in B", comparison.only_in_b)
    yield ""
    yield verdict(comparison)


def _side(name: str, side: SideName) -> str:
    origin = f"{side.origin}, " if side.origin else ""
    return one_line(f"{name}  {side.name}  ({origin}{counted(side.cells, 'cell')})")


def _causes(comparison: Comparison) -> Iterator[str]:
    if comparison.causes:
        yield ""
        yield "first causes"
    width = max((len(f"{len(group.cells):,}") for group in comparison.causes), default=0)
    for group in comparison.causes:
        count = len(group.cells)
        yield _wrapped(
            f"  {count:{width},} {'cells' if count > 1 else 'cell '}  {group.cause}", width + 10
        )


def _cell(cell: CellComparison) -> Iterator[str]:
    yield ""
    yield _heading(cell)
    if cell.unmeasured:
        yield _wrapped(f"  {cell.unmeasured}", 4)
        return
    if cell.cause:
        yield _wrapped(f"  {cell.cause}", 4)
    rows = []
    for figure in changed_figures(cell):
        before, after, change = change_words(figure)
        told = figure.reason or figure.outcome.value
        rows.append((figure.metric.value, before, "->", after, change, told))
    yield from _aligned(rows, "l>l>>l")
    layers, more = largest_layers(cell, _LAYERS)
    if layers:
        yield "  layers, in cycles"
        table = [(one_line(layer.name), *layer_words(layer)) for layer in layers]
        yield from _aligned(
            [(name, a, "->", b, change, what) for name, a, b, change, what in table], "l>l>>l", 4
        )
        if more:
            yield f"    and {more} more"
    words = output_words(cell.outputs)
    if words:
        yield _wrapped(f"  {words}", 4)


def _heading(cell: CellComparison) -> str:
    return one_line(f"{cell.outcome.value.replace('_', ' ').upper()}  {cell.id}")


def _others(cells: Sequence[CellComparison]) -> Iterator[str]:
    if cells:
        yield ""
    for cell in cells:
        changes = [
            f"{figure.metric.value} {change_words(figure)[2]}" for figure in changed_figures(cell)
        ]
        yield _wrapped(f"{_heading(cell)}: {', '.join(changes) or 'other outputs'}", 4)


def _missing(comparison: Comparison) -> Iterator[str]:
    for outcome, title in (
        (FigureOutcome.LOST, "in A and not in B"),
        (FigureOutcome.GAINED, "in B and not in A"),
    ):
        groups = missing_groups(comparison, outcome)
        if groups:
            yield ""
            yield f"figures {title}"
        for metric, reason, cells in groups:
            yield _wrapped(f"  {metric}: {reason} ({_some(cells)})", 4)


def _list(title: str, ids: Sequence[str]) -> Iterator[str]:
    if ids:
        yield ""
        yield _wrapped(f"{title}: {_some(ids)}", 4)


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
    return f"{', '.join(ids[:_LISTED])}{more}"


def _aligned(rows: Sequence[Sequence[str]], sides: str, indent: int = 2) -> Iterable[str]:
    """The rows in columns, `l`eft or `>` right; the last column is wrapped below itself."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(sides))]
    for row in rows:
        cells = [
            text.rjust(width) if side == ">" else text.ljust(width)
            for text, width, side in zip(row, widths, sides, strict=True)
        ]
        head = " " * indent + "  ".join(cells[:-1])
        yield _wrapped(f"{head}  {row[-1]}".rstrip(), min(len(head) + 2, _WIDTH // 2))


def _wrapped(text: str, indent: int = 2) -> str:
    return textwrap.fill(
        one_line(text),
        _WIDTH,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )
