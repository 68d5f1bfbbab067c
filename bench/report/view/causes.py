"""Where the cycles of a cell go: layer by layer, divided by what each operation waits for."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.records.layers import layer_summaries
from bench.records.record import Record

__all__ = ["LayerCauses", "layer_causes"]


@dataclass(frozen=True)
class LayerCauses:
    """One layer of a cell."""

    name: str
    #: `compute`, `flash`, ...; what binds an operation -> the cycles of such operations.
    cycles: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All its cycles."""
        return sum(self.cycles.values())


def layer_causes(record: Record) -> list[LayerCauses]:
    """The layers of `record` in the order of the work; by Vela where the target does not tell."""
    if not record.measurement.layers:
        return [
            LayerCauses(name, {summary.bound: summary.cycles})
            for name, summary in layer_summaries(record).items()
            if summary.cycles
        ]
    found: dict[str, LayerCauses] = {}
    for row in record.measurement.layers:
        name = row.layer or row.name
        cycles = found.setdefault(name, LayerCauses(name)).cycles
        cycles[row.bound_by] = cycles.get(row.bound_by, 0) + row.total
    return list(found.values())
