"""Which resource binds each layer, and so the cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.compiler import VelaReport
from targets.protocol import LayerCycles

__all__ = ["MEMORIES", "CellBinding", "binding_of_layers", "binding_of_report"]

#: The names of resources that are memories.
MEMORIES = frozenset({"sram", "dram", "flash"})


@dataclass(frozen=True)
class CellBinding:
    """Which resources bind one cell: for each, the share of cycles of the layers it binds.

    `shares` maps `compute`, `sram`, `flash`, ... to shares that sum to 1.
    """

    shares: Mapping[str, float]

    @property
    def memory_share(self) -> float:
        """Share of the cycles spent in layers that wait for a memory."""
        return sum(share for name, share in self.shares.items() if name in MEMORIES)

    @property
    def memory(self) -> str:
        """The memory that binds the most cycles, or an empty string if none does."""
        memories = {k: v for k, v in self.shares.items() if k in MEMORIES and v > 0}
        return max(memories, key=memories.__getitem__) if memories else ""


def binding_of_layers(layers: Iterable[LayerCycles]) -> CellBinding:
    """Which resource binds each operation according to the target, weighted by its cycles."""
    cycles: dict[str, int] = {}
    for layer in layers:
        cycles[layer.bound_by] = cycles.get(layer.bound_by, 0) + layer.total
    return _shares(cycles)


def _shares(cycles: Mapping[str, int]) -> CellBinding:
    total = sum(cycles.values())
    return CellBinding({name: count / total for name, count in sorted(cycles.items()) if count})


def binding_of_report(report: VelaReport) -> CellBinding:
    """Which resource binds each layer according to Vela, weighted by the layers' cycles.

    A layer takes as long as the slowest of the NPU's own work and its accesses to each memory
    (Vela overlaps them perfectly); the slowest one binds it. The NPU wins ties.
    """
    cycles: dict[str, int] = {}
    for layer in report.layers:
        candidates = {
            "compute": layer.npu_cycles,
            "sram": layer.sram_cycles,
            "dram": layer.dram_cycles,
            "flash": max(layer.on_chip_flash_cycles, layer.off_chip_flash_cycles),
        }
        slowest = max(candidates, key=candidates.__getitem__)
        if layer.op_cycles:
            cycles[slowest] = cycles.get(slowest, 0) + layer.op_cycles
    return _shares(cycles)
