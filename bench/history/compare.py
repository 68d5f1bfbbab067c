"""A against B: cell by cell, metric by metric, layer by layer, with the first cause. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from bench.core.errors import BenchError
from bench.history.comparison import (
    CauseGroup,
    CellComparison,
    CellOutcome,
    Comparison,
    FigureComparison,
    FigureOutcome,
    Floors,
    LayerComparison,
    LayerFigures,
    OutputComparison,
    OutputOutcome,
    SideName,
    Totals,
    VelaLayerComparison,
)
from bench.history.side import CellSide, Side
from bench.plan.metrics import NPU_FIGURES, Better, MetricName, describe
from bench.records.figures import Absent, Number
from bench.records.provenance import Stage, first_cause

__all__ = ["changed", "compare", "compare_figure"]

#: Figures that depend on what the model was run on.
_OF_DATA = (MetricName.ACCURACY, MetricName.REFERENCE)
_UNKNOWN_CAUSE = "nothing known of how they were made differs"
_ORDER = (
    CellOutcome.REGRESSED,
    CellOutcome.NOT_JUDGED,
    CellOutcome.IMPROVED,
    CellOutcome.UNCHANGED,
)


def compare(a: Side, b: Side, floors: Floors) -> Comparison:
    """What became of the cells of `a` in `b`.

    Raises `BenchError` if they have no cell in common.
    """
    common = [id_ for id_ in a.cells if id_ in b.cells]
    if not common:
        raise BenchError(
            f"{a.name} and {b.name} have no cell in common",
            cure="compare runs of the same grid; `bench report RUN` shows the cells of a run",
        )
    cells = tuple(_cell(id_, a.cells[id_], b.cells[id_], floors) for id_ in common)
    only_in_a = tuple(id_ for id_ in a.cells if id_ not in b.cells)
    only_in_b = tuple(id_ for id_ in b.cells if id_ not in a.cells)
    counts = {outcome: sum(cell.outcome is outcome for cell in cells) for outcome in _ORDER}
    return Comparison(
        a=_name(a),
        b=_name(b),
        floors=floors,
        totals=Totals(
            cells=len(cells) + len(only_in_a) + len(only_in_b),
            regressed=counts[CellOutcome.REGRESSED],
            improved=counts[CellOutcome.IMPROVED],
            unchanged=counts[CellOutcome.UNCHANGED],
            not_judged=counts[CellOutcome.NOT_JUDGED],
            only_in_a=len(only_in_a),
            only_in_b=len(only_in_b),
        ),
        causes=_causes(cells),
        cells=cells,
        only_in_a=only_in_a,
        only_in_b=only_in_b,
    )


def _name(side: Side) -> SideName:
    return SideName(
        name=side.name,
        origin=side.origin,
        cells=len(side.cells),
        unreadable=tuple(map(str, side.unreadable)),
    )


def _cell(id_: str, a: CellSide, b: CellSide, floors: Floors) -> CellComparison:
    figures = tuple(compare_figure(metric, a, b, floors) for metric in MetricName)
    cause = None if a.unmeasured or b.unmeasured else first_cause(a.made, b.made)
    return CellComparison(
        id=id_,
        outcome=_outcome(figures),
        figures=figures,
        stage=None if cause is None else cause.stage,
        cause="" if cause is None else str(cause),
        layers=tuple(_layers(a, b)),
        vela_layers=tuple(_vela_layers(a.vela_layers, b.vela_layers)),
        outputs=_outputs(a, b),
        unmeasured="; ".join(
            f"{name}: {side.unmeasured}" for name, side in (("A", a), ("B", b)) if side.unmeasured
        ),
    )


def _outcome(figures: tuple[FigureComparison, ...]) -> CellOutcome:
    found = {figure.outcome for figure in figures}
    if FigureOutcome.REGRESSED in found:
        return CellOutcome.REGRESSED
    compared = found & {FigureOutcome.IMPROVED, FigureOutcome.UNCHANGED}
    if not compared or found & {FigureOutcome.LOST, FigureOutcome.INCOMPARABLE}:
        return CellOutcome.NOT_JUDGED
    if FigureOutcome.IMPROVED in found:
        return CellOutcome.IMPROVED
    return CellOutcome.UNCHANGED


def compare_figure(
    metric: MetricName, a: CellSide, b: CellSide, floors: Floors
) -> FigureComparison:
    """How `metric` of a cell on `b` stands to that on `a`."""
    before, after = _figure(a, metric), _figure(b, metric)
    unit = describe(metric).unit
    if isinstance(before, Absent) or isinstance(after, Absent):
        return _missing(metric, unit, before, after)
    difference = after.value - before.value
    share = difference / abs(before.value) if before.value else math.inf
    outcome, reason = _judged(metric, a, b, floors, before.value, after.value)
    return FigureComparison(
        metric=metric,
        unit=unit,
        outcome=outcome,
        a=before.value,
        b=after.value,
        difference=difference,
        # Without limit where A's figure is 0 or next to it.
        relative=share if math.isfinite(share) else None,
        reason=reason,
    )


def _figure(side: CellSide, metric: MetricName) -> Number | Absent:
    if side.unmeasured:
        return Absent(reason=side.unmeasured)
    return side.figures.get(metric, Absent(reason="there is no accepted figure"))


def _missing(
    metric: MetricName, unit: str, before: Number | Absent, after: Number | Absent
) -> FigureComparison:
    if isinstance(before, Number):
        assert isinstance(after, Absent)
        outcome, absent = FigureOutcome.LOST, after
    elif isinstance(after, Number):
        outcome, absent = FigureOutcome.GAINED, before
    else:
        outcome, absent = FigureOutcome.ABSENT, before
    return FigureComparison(
        metric=metric,
        unit=unit,
        outcome=outcome,
        a=before.value if isinstance(before, Number) else None,
        b=after.value if isinstance(after, Number) else None,
        reason=absent.reason or "nobody says why",
    )


def _judged(
    metric: MetricName, a: CellSide, b: CellSide, floors: Floors, before: float, after: float
) -> tuple[FigureOutcome, str]:
    reason = _other_meaning(metric, a, b)
    if reason:
        return FigureOutcome.INCOMPARABLE, reason
    if not _counts(metric, floors, before, after):
        return FigureOutcome.UNCHANGED, ""
    better = describe(metric).better
    if metric is MetricName.ACCURACY:
        # Both mean the same figure of merit, as far as they say; accepted figures do not.
        known = a.accuracy_better or b.accuracy_better
        if known is None:
            name = a.accuracy_metric or b.accuracy_metric or "this figure of merit"
            return (
                FigureOutcome.INCOMPARABLE,
                f"nothing says which way {name} improves; a run with a limit (min or max) does",
            )
        better = known
    if (after > before) is not (better is Better.HIGHER):
        return FigureOutcome.REGRESSED, ""
    left = _left_the_npu(a, b) if metric in NPU_FIGURES else ""
    return (FigureOutcome.INCOMPARABLE, left) if left else (FigureOutcome.IMPROVED, "")


def _left_the_npu(a: CellSide, b: CellSide) -> str:
    """Why a figure of B's NPU alone may look better; empty if as much runs on it as on A's.

    An operator on the CPU takes its cycles, beats and weights with it.
    """
    then, now = (_figure(side, MetricName.CPU_OPERATORS) for side in (a, b))
    if isinstance(now, Absent):
        return "" if isinstance(then, Absent) else "B does not say what runs on the CPU"
    if isinstance(then, Absent):
        known = "A does not say how many do"
        return f"{now.value:.0f} operators run on the CPU in B, and {known}" if now.value else ""
    if now.value > then.value:
        return f"{now.value - then.value:.0f} more operators run on the CPU in B"
    return ""


def _counts(metric: MetricName, floors: Floors, before: float, after: float) -> bool:
    """Whether a difference exceeds both floors."""
    difference = abs(after - before)
    return difference > floors.relative * abs(before) and difference > floors.absolute.get(
        metric, 0.0
    )


def _other_meaning(metric: MetricName, a: CellSide, b: CellSide) -> str:
    """Why the figures of both sides mean different things; empty if they do not."""
    names = a.accuracy_metric, b.accuracy_metric
    if metric is MetricName.ACCURACY and all(names) and names[0] != names[1]:
        return f"it is {names[0]} on A and {names[1]} on B"
    then, now = a.made.facts(Stage.DATA), b.made.facts(Stage.DATA)
    if metric in _OF_DATA:
        for fact in ("test_sha256", "samples"):
            if fact in then and fact in now and then[fact] != now[fact]:
                return "A and B were measured on different data"
    return ""


def _layers(a: CellSide, b: CellSide) -> Iterator[LayerComparison]:
    """The layers that are not the same. A side that tells no layers is not compared."""
    if not a.layers or not b.layers:
        return
    for name in dict.fromkeys((*a.layers, *b.layers)):
        before, after = _layer(a, name), _layer(b, name)
        if before is None or after is None or _told(before, after) != _told(after, before):
            yield LayerComparison(name=name, a=before, b=after)


def _layer(side: CellSide, name: str) -> LayerFigures | None:
    summary = side.layers.get(name)
    if summary is None:
        return None
    return LayerFigures(summary=summary, weight_decode=side.weight_decode.get(name))


def _told(one: LayerFigures, other: LayerFigures) -> tuple[object, ...]:
    """What is compared of a layer: its figures, as far as both sides know them."""
    mine, theirs = one.summary, other.summary
    known = one.weight_decode is not None and other.weight_decode is not None
    return (
        mine.cycles,
        mine.bound,
        mine.block if theirs.block else "",
        one.weight_decode if known else None,
    )


def _vela_layers(a: Mapping[str, int], b: Mapping[str, int]) -> Iterator[VelaLayerComparison]:
    if not a or not b:
        return
    for name in dict.fromkeys((*a, *b)):
        before, after = a.get(name), b.get(name)
        if before != after:
            yield VelaLayerComparison(name=name, a=before, b=after)


def _outputs(a: CellSide, b: CellSide) -> OutputComparison:
    if not a.outputs_sha256 or not b.outputs_sha256:
        return OutputComparison(
            outcome=OutputOutcome.UNKNOWN, reason="a side does not say what the outputs were"
        )
    if a.outputs_sha256 == b.outputs_sha256:
        return OutputComparison(outcome=OutputOutcome.SAME)
    return OutputComparison(outcome=OutputOutcome.DIFFERENT)


def _causes(cells: tuple[CellComparison, ...]) -> tuple[CauseGroup, ...]:
    """The causes of what changed: of worse and better figures, and of other outputs."""
    groups: dict[tuple[Stage | None, str], list[str]] = {}
    for cell in cells:
        if not cell.unmeasured and changed(cell):
            groups.setdefault((cell.stage, cell.cause or _UNKNOWN_CAUSE), []).append(cell.id)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return tuple(
        CauseGroup(stage=stage, cause=cause, cells=tuple(ids)) for (stage, cause), ids in ordered
    )


def changed(cell: CellComparison) -> bool:
    """Whether anything about the cell is worth showing."""
    return (
        cell.outcome is not CellOutcome.UNCHANGED or cell.outputs.outcome is OutputOutcome.DIFFERENT
    )
