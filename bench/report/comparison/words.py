"""What the text and the Markdown of a comparison say alike: order, figures, layers, outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bench.history.comparison import (
    CellComparison,
    CellOutcome,
    Comparison,
    FigureComparison,
    FigureOutcome,
    LayerComparison,
    LayerFigures,
    OutputComparison,
    OutputOutcome,
)
from bench.records.figures import shown_number

__all__ = [
    "change_words",
    "changed_figures",
    "floor_words",
    "largest_layers",
    "layer_words",
    "missing_groups",
    "output_words",
    "shown_cells",
    "total_rows",
    "verdict",
    "worst_first",
]

_SHOWN = (FigureOutcome.REGRESSED, FigureOutcome.IMPROVED, FigureOutcome.INCOMPARABLE)


def verdict(comparison: Comparison) -> str:
    """The outcome in one sentence."""
    if comparison.passed:
        return "B is not worse than A."
    reasons = []
    if comparison.totals.regressed:
        reasons.append("B is worse than A")
    if comparison.only_in_a or any(cell.lost for cell in comparison.cells):
        reasons.append("B lacks figures that A has")
    return f"{' and '.join(reasons)}."


def total_rows(comparison: Comparison) -> list[tuple[str, int]]:
    """The totals with their names."""
    totals = comparison.totals
    return [
        ("cell" if totals.cells == 1 else "cells", totals.cells),
        ("regressed", totals.regressed),
        ("improved", totals.improved),
        ("unchanged", totals.unchanged),
        ("not judged", totals.not_judged),
        ("only in A", totals.only_in_a),
        ("only in B", totals.only_in_b),
    ]


def floor_words(comparison: Comparison) -> str:
    """What a difference must exceed; empty if every difference counts."""
    floors = comparison.floors
    words = [f"{floors.relative:g} of A's figure"] if floors.relative else []
    words += [f"{metric.value} {value:g}" for metric, value in floors.absolute.items()]
    return f"A difference counts if it is more than {', and than '.join(words)}." if words else ""


def worst_first(cells: Iterable[CellComparison]) -> list[CellComparison]:
    """Regressed cells by how much worse they are, then those not judged, then improved ones."""
    order = list(CellOutcome)
    return sorted(cells, key=lambda cell: (order.index(cell.outcome), -_severity(cell)))


def _severity(cell: CellComparison) -> float:
    figures = cell.of(FigureOutcome.REGRESSED, FigureOutcome.IMPROVED)
    shares = [math.inf if f.relative is None else abs(f.relative) for f in figures]
    return max(shares, default=0.0)


def shown_cells(comparison: Comparison) -> list[CellComparison]:
    """The cells of which there is something to say, worst first."""
    return worst_first(
        cell
        for cell in comparison.cells
        if cell.outcome is not CellOutcome.UNCHANGED
        or cell.outputs.outcome is OutputOutcome.DIFFERENT
    )


def change_words(figure: FigureComparison) -> tuple[str, str, str]:
    """Both figures and their difference for people; see `_SHOWN` for which are worth it."""
    before = "-" if figure.a is None else shown_number(figure.a, figure.unit)
    after = "-" if figure.b is None else shown_number(figure.b, figure.unit)
    if figure.difference is None:
        return before, after, ""
    if before == after and figure.difference:
        # Rounded, the two would look alike.
        before, after = (
            f"{figure.a!r} {figure.unit}".rstrip(),
            f"{figure.b!r} {figure.unit}".rstrip(),
        )
    if figure.relative is None:
        return before, after, f"{figure.difference:+,.6g}"
    return before, after, f"{figure.relative:+.2%}"


def changed_figures(cell: CellComparison) -> tuple[FigureComparison, ...]:
    """The figures of a cell that are better, worse, or cannot be compared."""
    return cell.of(*_SHOWN)


def missing_groups(
    comparison: Comparison, outcome: FigureOutcome
) -> list[tuple[str, str, list[str]]]:
    """Metric, reason and cells of the figures that one side lacks, together where alike.

    Cells that have no figure at all stand once, under the metric `all`.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for cell in comparison.cells:
        figures = cell.of(outcome)
        if cell.unmeasured and figures:
            groups.setdefault(("all", cell.unmeasured), []).append(cell.id)
            continue
        for figure in figures:
            groups.setdefault((figure.metric.value, figure.reason), []).append(cell.id)
    return [(metric, reason, cells) for (metric, reason), cells in groups.items()]


def largest_layers(cell: CellComparison, most: int) -> tuple[list[LayerComparison], int]:
    """The layers whose cycles differ the most, and how many are left out."""
    ranked = sorted(cell.layers, key=lambda layer: -abs(layer.difference))
    return ranked[:most], max(0, len(ranked) - most)


def layer_words(layer: LayerComparison) -> tuple[str, str, str, str]:
    """Cycles on both sides, their difference, and what else changed."""
    before, after = layer.a, layer.b
    if before is None or after is None:
        what = f"only in {'A' if after is None else 'B'}"
    else:
        what = ", ".join(_layer_changes(before, after))
    return _cycles(before), _cycles(after), f"{layer.difference:+,}", what


def _cycles(side: LayerFigures | None) -> str:
    return "-" if side is None else f"{side.summary.cycles:,}"


def _layer_changes(before: LayerFigures, after: LayerFigures) -> Iterable[str]:
    a, b = before.summary, after.summary
    yield f"{a.bound} -> {b.bound}" if a.bound != b.bound else b.bound
    decode = before.weight_decode, after.weight_decode
    if None not in decode and decode[0] != decode[1]:
        yield f"weight decode {decode[0]:,} -> {decode[1]:,}"
    if a.block and b.block and a.block != b.block:
        yield f"blocks {a.block} -> {b.block}"


def output_words(outputs: OutputComparison) -> str:
    """Where the outputs part; empty if they do not, or are unknown."""
    if outputs.outcome is not OutputOutcome.DIFFERENT:
        return ""
    first = outputs.first
    if first is None:
        return f"outputs differ; first layer not known: {outputs.reason or 'not looked for'}"
    where = f"input {first.input}" + ("" if first.step is None else f", step {first.step}")
    if not first.layer:
        return f"outputs differ: {first.remark} ({where})"
    what = first.remark or (
        f"{first.mismatches:,} of {first.elements:,} elements, by at most {first.largest:,}"
    )
    place = f" ({first.operation})" if first.operation else ""
    words = f"outputs differ first in layer {first.layer}{place}: {what}; {where}"
    if first.same_before:
        words += f"; the {first.same_before} layers before it give the same"
    if first.not_compared:
        words += f"; not compared: {', '.join(first.not_compared)}"
    return words
