"""The layers of a timed network: the operations of each, and what they wait for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from targets.artefact.layers import NamedOperation
from targets.artefact.stream.operations import BlockOperation, Conv, Depthwise, Operation
from targets.simulator.timing.results import Bound, NetworkTiming, OperationTiming

__all__ = ["MEMORY_BOUNDS", "Layer", "layers_of", "operation_label"]

#: The memories.
MEMORY_BOUNDS = (Bound.FLASH, Bound.SRAM)


@dataclass(frozen=True)
class Layer:
    """The operations of one layer."""

    name: str
    rows: tuple[OperationTiming, ...]

    @property
    def total(self) -> float:
        """Cycles the layer adds to the network."""
        return sum(row.total for row in self.rows)

    @property
    def decisive(self) -> OperationTiming:
        """The operation that takes the longest."""
        return max(self.rows, key=lambda row: row.total)

    @property
    def weight_indices(self) -> tuple[int, ...]:
        """The operations that stream weights."""
        return tuple(r.index for r in self.rows if isinstance(r.operation, (Conv, Depthwise)))

    @property
    def waiting(self) -> float:
        """Share of the layer's cycles in which its multipliers wait for weights, 0..1."""
        waited = sum(min(row.waits.weights, row.total) for row in self.rows)
        return waited / self.total if self.total else 0.0

    @property
    def waits_for_weights(self) -> bool:
        """Whether a memory binds it, and its multipliers wait for weights."""
        bound = self.decisive.bound_by in MEMORY_BOUNDS
        return bound and bool(self.weight_indices) and self.waiting > 0


def operation_label(operation: Operation) -> str:
    """An operation's kind, the shape of its OFM, and the word of the stream that issues it."""
    made = ""
    if isinstance(operation, BlockOperation):
        ofm = operation.ofm
        made = f" {ofm.height}x{ofm.width}x{ofm.depth}"
    return f"{type(operation).__name__}{made} @{operation.word}"


def layers_of(timing: NetworkTiming, names: Mapping[int, NamedOperation]) -> tuple[Layer, ...]:
    """The layers that take time, in their order; operations without a name stand alone."""
    rows: dict[str, list[OperationTiming]] = {}
    for row in timing.operations:
        if row.total > 0:
            name = (
                names[row.index].layer.name
                if row.index in names
                else operation_label(row.operation)
            )
            rows.setdefault(name, []).append(row)
    return tuple(Layer(name, tuple(each)) for name, each in rows.items())
