"""A comparison as Markdown, for a comment on a pull request.

GitHub's flavour: tables and `<details>`. Names come from outside, so each stands in a code span,
in which nothing is interpreted; words of ours need no escape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from bench.core.text import counted, one_line
from bench.history.comparison import CellComparison, Comparison, FigureOutcome
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

__all__ = ["code_span", "comparison_markdown"]

#: A comment on GitHub holds 65,536 characters. These bounds keep a comparison of cells with long
#: names below half of that.
_FIGURES = 60
_CELLS_WITH_LAYERS = 10
_LAYERS = 6
_LISTED = 10


def comparison_markdown(comparison: Comparison) -> str:
    """`comparison` for a pull request; the JSON has what is left out here."""
    return "\n".join(_lines(comparison)) + "\n"


def code_span(text: str) -> str:
    """`text` so that it is shown as it is, in a table too; it is one line then."""
    shown = one_line(text) or " "
    # A span ends at as many backticks as it began with; a table's cell ends at a bare bar.
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown[0] == "`" or shown[-1] == "`" else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"**{verdict(comparison)}**"
    yield ""
    for name, side in (("A", comparison.a), ("B", comparison.b)):
        origin = f", {code_span(side.origin)}" if side.origin else ""
        yield f"- {name}: {code_span(side.name)}{origin}, {counted(side.cells, 'cell')}"
        yield from (f"- {name}: {code_span(fault)}" for fault in side.unreadable)
    totals = total_rows(comparison)
    yield from _table([what for what, _ in totals], [[f"{count:,}" for _, count in totals]])
    if floor_words(comparison):
        yield from ("", floor_words(comparison))
    if comparison.causes:
        yield from _table(
            ["cells", "first cause"],
            [[f"{len(group.cells):,}", code_span(group.cause)] for group in comparison.causes],
        )
    cells = shown_cells(comparison)
    yield from _figures(cells)
    yield from _missing(comparison)
    yield from _only("only in A", comparison.only_in_a)
    yield from _only("only in B", comparison.only_in_b)
    yield from _details(cells)


def _figures(cells: Sequence[CellComparison]) -> Iterator[str]:
    rows = []
    for cell in cells:
        for figure in changed_figures(cell):
            before, after, change = change_words(figure)
            told = figure.outcome.value
            if figure.reason:
                told = f"{told}: {code_span(figure.reason)}"
            if figure.outcome is FigureOutcome.REGRESSED:
                told = f"**{told}**"
            rows.append(
                [code_span(cell.id), code_span(figure.metric.value), before, after, change, told]
            )
    if rows:
        yield from _table(["cell", "metric", "A", "B", "change", "outcome"], rows[:_FIGURES])
    if len(rows) > _FIGURES:
        yield from ("", f"{len(rows) - _FIGURES:,} more figures changed.")


def _missing(comparison: Comparison) -> Iterator[str]:
    for outcome, title in (
        (FigureOutcome.LOST, "Figures in A and not in B"),
        (FigureOutcome.GAINED, "Figures in B and not in A"),
    ):
        groups = missing_groups(comparison, outcome)
        if groups:
            yield from ("", f"{title}:", "")
        for metric, reason, cells in groups:
            yield f"- {code_span(metric)}: {code_span(reason)} ({_some(cells)})"


def _only(title: str, ids: Sequence[str]) -> Iterator[str]:
    if ids:
        yield from ("", f"{len(ids):,} {title}: {_some(ids)}")


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _LISTED:,} more" if len(ids) > _LISTED else ""
    return f"{', '.join(map(code_span, ids[:_LISTED]))}{more}"


def _details(cells: Iterable[CellComparison]) -> Iterator[str]:
    told = [cell for cell in cells if cell.layers or output_words(cell.outputs)]
    if not told:
        return
    yield from ("", "<details><summary>Layers</summary>")
    for cell in told[:_CELLS_WITH_LAYERS]:
        yield from ("", code_span(cell.id))
        layers, more = largest_layers(cell, _LAYERS)
        if layers:
            rows = []
            for layer in layers:
                before, after, change, what = layer_words(layer)
                rows.append([code_span(layer.name), before, after, change, code_span(what)])
            yield from _table(["layer", "cycles in A", "in B", "change", "bound by"], rows)
        if more:
            yield from ("", f"{more:,} more layers differ.")
        words = output_words(cell.outputs)
        if words:
            yield from ("", code_span(words))
    if len(told) > _CELLS_WITH_LAYERS:
        yield from ("", f"{len(told) - _CELLS_WITH_LAYERS:,} more cells have layers that differ.")
    yield from ("", "</details>")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join(' --- ' for _ in heads)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
