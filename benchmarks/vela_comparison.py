"""Cells under two versions of Vela: what changed, what became worse, in which layers. Pure."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bench.plan.metrics import MetricName, describe
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.record import Record
from benchmarks.markdown import table
from targets.protocol import LayerCycles

__all__ = ["FIGURES", "LayerChange", "Pair", "broken", "changed_layers", "page", "worse"]

#: What is compared; less is better for each.
FIGURES = (
    MetricName.NPU_CYCLES,
    MetricName.ENCODED_WEIGHTS,
    MetricName.SRAM,
    MetricName.FLASH,
    MetricName.DEVICE_MODEL,
    MetricName.CPU_OPERATORS,
)
#: What the cycles of an operation consist of; they overlap.
_PARTS = ("compute", "weight_decode", "flash", "sram", "issue")
#: Layers named for each cell that became worse.
_LAYERS_SHOWN = 3


@dataclass(frozen=True)
class Pair:
    """A cell under both versions."""

    #: Without the version.
    cell: str
    old: Record
    new: Record

    def figures(self, metric: MetricName) -> tuple[float, float] | None:
        """The figure under both versions; None if one has none."""
        values = metric_value(self.old, metric), metric_value(self.new, metric)
        if isinstance(values[0], Absent) or isinstance(values[1], Absent):
            return None
        return values[0], values[1]

    def summary(self) -> dict[str, Any]:
        """Its figures and changed layers as plain values."""
        return {
            "cell": self.cell,
            "versions": [one.compilation.vela_version for one in (self.old, self.new)],
            "figures": {metric.value: self.figures(metric) for metric in FIGURES},
            "worse": [metric.value for metric in worse(self)],
            "layers": changed_layers(self),
        }


@dataclass(frozen=True)
class LayerChange:
    """A layer whose estimated cycles changed."""

    name: str
    #: What it was in the model that was compiled (`Conv2D`).
    operator: str
    old: int
    new: int
    #: The part that grew or shrank most, and its cycles under both versions.
    part: str
    part_old: int
    part_new: int
    #: Vela's own estimates.
    vela_old: int
    vela_new: int
    #: Operations in the command stream.
    operations_old: int
    operations_new: int

    @property
    def growth(self) -> int:
        """Cycles."""
        return self.new - self.old


def worse(pair: Pair) -> list[MetricName]:
    """The figures that grew."""
    return [
        metric
        for metric in FIGURES
        if (both := pair.figures(metric)) is not None and both[1] > both[0]
    ]


def broken(pair: Pair) -> Iterator[str]:
    """Why the comparison of a cell would be of nothing."""
    for metric in FIGURES:
        if pair.figures(metric) is None:
            yield f"{pair.cell}: no {metric.value}"
    for record in (pair.old, pair.new):
        compared = record.reference
        if compared is None or compared.mismatches:
            found = record.reference_absent if compared is None else f"{compared.mismatches} differ"
            yield f"{record.cell.id}: outputs and the reference's: {found}"


def changed_layers(pair: Pair) -> list[LayerChange]:
    """The layers whose cycles differ, the largest growth first."""
    old, new = (_by_layer(record.measurement.layers) for record in (pair.old, pair.new))
    changes = [
        _change(name, old.get(name, ()), new.get(name, ())) for name in dict.fromkeys([*old, *new])
    ]
    return sorted((one for one in changes if one.growth), key=lambda one: -one.growth)


def _by_layer(rows: Iterable[LayerCycles]) -> Mapping[str, Sequence[LayerCycles]]:
    layers: dict[str, list[LayerCycles]] = {}
    for row in rows:
        layers.setdefault(row.layer or row.name, []).append(row)
    return layers


def _change(name: str, old: Sequence[LayerCycles], new: Sequence[LayerCycles]) -> LayerChange:
    def summed(rows: Sequence[LayerCycles], part: str) -> int:
        return sum(getattr(row, part) or 0 for row in rows)

    part = max(_PARTS, key=lambda each: abs(summed(new, each) - summed(old, each)))
    return LayerChange(
        name=name,
        operator=next(row.operator for row in [*old, *new]) or "not known",
        old=summed(old, "total"),
        new=summed(new, "total"),
        part=part.replace("_", " "),
        part_old=summed(old, part),
        part_new=summed(new, part),
        vela_old=summed(old, "vela_cycles"),
        vela_new=summed(new, "vela_cycles"),
        operations_old=len(old),
        operations_new=len(new),
    )


def page(pairs: Sequence[Pair], old: str, new: str) -> str:
    """The page, for `pairs` of the versions `old` and `new`."""
    names = {record.measurement.source.value for pair in pairs for record in (pair.old, pair.new)}
    assert names == {"simulated"}, names
    bad = [pair for pair in pairs if worse(pair)]
    return "\n".join(
        [
            _HEAD.format(old=old, new=new, cells=len(pairs), machine=_machine(), worse=len(bad)),
            table(("Figure", "worse", "better", "equal", "largest growth"), _counted(pairs)),
            "",
            "By the kind of the layer, in how many cells its cycles grew or shrank:",
            "",
            table(("Layer", "grew in", "at most by", "shrank in", "at most by"), _kinds(pairs)),
            "",
            "## The layers that grew",
            "",
            _LAYERS.format(shown=_LAYERS_SHOWN),
            table(("Cell", "Cycles", "Layers that grew", "Other figures"), map(_worse_row, bad)),
            "",
            "## Every cell",
            "",
            _ALL.format(old=old, new=new),
            table(
                ("Cell", *(describe(metric).title for metric in FIGURES), "Vela's own cycles"),
                map(_row, pairs),
            ),
            "",
        ]
    )


_HEAD = """# Vela {old} and {new}

`make velas` compiles five public models (those of `bench zoo list` that keep no state) and both
workloads of the study with Vela {old} and {new}, and measures them on target `sim`, with every MAC
count and in both memory modes: {cells} cells. Then it writes this page. Cycles are an estimate of
the cycle model, not a measurement; sizes are Vela's. Outputs equal the reference interpreter's
under both versions, bit by bit. {machine}

In {worse} of the {cells} cells a figure became worse:
"""
_LAYERS = """\
The cells in which a figure is worse. Of the layers whose cycles grew, the first {shown} are named,
each with the part of its cycles that changed most (parts overlap) and, if it changed, the number of
its operations in the command stream. Vela's own estimate of the layer follows in brackets. Where no
layer is named, no cycles grew.
"""
_ALL = """\
From {old} to {new}, or one figure if both are equal. In KiB, except for cycles and operators. The
last column is not compared: it shows how Vela's own estimate changed.
"""


def _machine() -> str:
    """Where and when; no figure here depends on either."""
    kind = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"Made on {date.today():%d %B %Y} on {kind}."


def _counted(pairs: Sequence[Pair]) -> Iterator[tuple[object, ...]]:
    for metric in FIGURES:
        both = [(pair, found) for pair in pairs if (found := pair.figures(metric)) is not None]
        counts = Counter((b > a) - (b < a) for _, (a, b) in both)
        growth, cell = max(((_growth(*found), pair.cell) for pair, found in both), default=(0, ""))
        largest = f"{growth:+.2%} (`{cell}`)" if growth > 0 else ""
        yield describe(metric).title, counts[1], counts[-1], counts[0], largest


def _kinds(pairs: Sequence[Pair]) -> Iterator[tuple[object, ...]]:
    changes: dict[str, list[int]] = {}
    for pair in pairs:
        cycles: Counter[str] = Counter()
        for one in changed_layers(pair):
            cycles[one.operator] += one.growth
        for operator, growth in cycles.items():
            changes.setdefault(operator, []).append(growth)
    for operator, growths in sorted(changes.items(), key=lambda item: -len(item[1])):
        up, down = ([g for g in growths if g * sign > 0] for sign in (1, -1))
        yield (
            operator,
            len(up),
            f"{max(up):+,}" if up else "",
            len(down),
            f"{min(down):+,}" if down else "",
        )


def _growth(old: float, new: float) -> float:
    if old == new:
        return 0
    return (new - old) / old if old else float("inf")


def _row(pair: Pair) -> tuple[str, ...]:
    estimates = (one.compilation.report.cycles_total for one in (pair.old, pair.new))
    figures = (_shown(pair.figures(metric), describe(metric).unit) for metric in FIGURES)
    return (f"`{pair.cell}`", *figures, _shown(tuple(estimates), "cycles"))


def _shown(both: tuple[float, ...] | None, unit: str) -> str:
    if both is None:
        return "-"
    decimals = 2 if unit == "KiB" else 0
    old, new = (f"{value:,.{decimals}f}" for value in both)
    return new if both[0] == both[1] else f"{old} → {new} ({_growth(both[0], both[1]):+.2%})"


def _worse_row(pair: Pair) -> tuple[str, ...]:
    grown = [one for one in changed_layers(pair) if one.growth > 0]
    told = [_told(one) for one in grown[:_LAYERS_SHOWN]]
    if len(grown) > _LAYERS_SHOWN:
        rest = sum(one.growth for one in grown[_LAYERS_SHOWN:])
        told.append(f"{len(grown) - _LAYERS_SHOWN} more, {rest:+,}")
    cycles = pair.figures(MetricName.NPU_CYCLES)
    shown = "" if cycles is None else f"{cycles[1] - cycles[0]:+,.0f} ({_growth(*cycles):+.2%})"
    others = [
        f"{describe(metric).title} {both[1] - both[0]:+,.2f} {describe(metric).unit}"
        for metric in worse(pair)
        if metric is not MetricName.NPU_CYCLES and (both := pair.figures(metric)) is not None
    ]
    return f"`{pair.cell}`", shown, "<br>".join(told), "<br>".join(others)


def _told(one: LayerChange) -> str:
    counts = ""
    if one.operations_old != one.operations_new:
        counts = f", {one.operations_old} → {one.operations_new} operations"
    part = ""
    if one.part_old != one.part_new:
        part = f": {one.part} {one.part_old:,} → {one.part_new:,}"
    vela = f"({one.vela_old:,} → {one.vela_new:,})"
    return f"{one.name} {one.growth:+,}{part}{counts} {vela}"
