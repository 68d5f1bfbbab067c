"""Where the cycles of a cell go, layer by layer, from what its target says or else Vela."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bench.compiler import VelaReport
from bench.core.schema import RecordModel
from bench.records.binding import MEMORIES
from bench.records.record import Record
from targets.protocol import LayerCycles

__all__ = ["LayerSummary", "layer_summaries", "wait_share", "wait_shares"]

#: The word of the stream in an operation's name (`Conv 1x1x128 @72`), which moves with the code.
_WORD = re.compile(r" @\d+$")


class LayerSummary(RecordModel):
    """The cycles of one layer; an estimate."""

    cycles: int
    #: Of them, those in which its multipliers wait for a memory.
    waits: int
    #: `compute`, or the memory or other resource that binds most of it.
    bound: str
    #: How many times longer the multipliers work than the slowest memory: the layer's arithmetic
    #: intensity (MACs a byte) divided by the machine's balance. Below 1 a memory binds.
    balance: float | None = None
    #: The blocks in which Vela computes it (`16x2x32`, height x width x depth); empty if unknown.
    block: str = ""


def layer_summaries(record: Record) -> dict[str, LayerSummary]:
    """Layer -> its cycles, in the order of the work. Operations of one layer are added up."""
    rows = record.measurement.layers
    return _of_target(rows) if rows else _of_vela(record.compilation.report)


def wait_share(record: Record) -> float | None:
    """Share of the cycles in which the multipliers wait for a memory, 0..1; None without layers."""
    if record.measurement.layers:
        total = waits = 0
        # One pass: of a lean record, each makes the layers anew.
        for row in record.measurement.layers:
            total += row.total
            waits += _waits(row)
    else:
        layers = _of_vela(record.compilation.report).values()
        total, waits = sum(one.cycles for one in layers), sum(one.waits for one in layers)
    return waits / total if total else None


def wait_shares(record: Record) -> dict[str, float]:
    """Memory -> share of the cycles in which the multipliers wait for it, 0..1; the largest first.

    A layer waits for the memory that binds most of it.
    """
    layers = layer_summaries(record).values()
    total = sum(layer.cycles for layer in layers)
    waits: dict[str, int] = {}
    for layer in layers:
        if layer.waits and layer.bound in MEMORIES:
            waits[layer.bound] = waits.get(layer.bound, 0) + layer.waits
    return {name: waits[name] / total for name in sorted(waits, key=lambda name: -waits[name])}


def _of_target(rows: Iterable[LayerCycles]) -> dict[str, LayerSummary]:
    groups: dict[str, list[LayerCycles]] = {}
    for row in rows:
        groups.setdefault(row.layer or _WORD.sub("", row.name), []).append(row)
    return {name: _summary(group) for name, group in groups.items()}


def _summary(group: list[LayerCycles]) -> LayerSummary:
    bound: dict[str, int] = {}
    for row in group:
        bound[row.bound_by] = bound.get(row.bound_by, 0) + row.total
    compute = sum(row.compute for row in group)
    memory = sum(max(row.flash, row.sram) for row in group)
    return LayerSummary(
        cycles=sum(row.total for row in group),
        waits=sum(_waits(row) for row in group),
        bound=max(bound, key=bound.__getitem__),
        balance=round(compute / memory, 3) if memory else None,
        block=" ".join(dict.fromkeys(row.block for row in group if row.block)),
    )


def _waits(row: LayerCycles) -> int:
    """The cycles that a memory adds: those beyond what the next slower resource takes."""
    if row.bound_by not in MEMORIES:
        return 0
    return max(0, row.total - max(row.compute, row.weight_decode))


def _of_vela(report: VelaReport) -> dict[str, LayerSummary]:
    """By Vela's estimate, in which a layer takes as long as its slowest resource."""
    found: dict[str, LayerSummary] = {}
    for layer in report.layers:
        memories = {
            "sram": layer.sram_cycles,
            "dram": layer.dram_cycles,
            "flash": max(layer.on_chip_flash_cycles, layer.off_chip_flash_cycles),
        }
        slowest = max(memories, key=memories.__getitem__)
        waits = max(0, memories[slowest] - layer.npu_cycles) if layer.op_cycles else 0
        before = found.get(layer.name)
        summary = LayerSummary(
            cycles=layer.op_cycles,
            waits=waits,
            bound=slowest if waits else "compute",
            balance=round(layer.npu_cycles / memories[slowest], 3) if memories[slowest] else None,
        )
        found[layer.name] = summary if before is None else _added(before, summary)
    return found


def _added(one: LayerSummary, other: LayerSummary) -> LayerSummary:
    larger = max(one, other, key=lambda layer: layer.cycles)
    return LayerSummary(
        cycles=one.cycles + other.cycles,
        waits=one.waits + other.waits,
        bound=larger.bound,
        balance=larger.balance,
    )
