"""What limits a network and what would help: one sentence, and a second with the figures behind it.

The sentence is about the longest of the layers that are bound by what binds most of the network. If
this layer waits for its weights, the statement says below which encoded size it would be
compute-bound (by another estimate with smaller streams), and how sparse the layer would be at that
size (see `targets.simulator.weights.compression`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.core.units import KIB
from targets.artefact.layers import NamedOperation
from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Depthwise,
    Dma,
    Operation,
)
from targets.ethos_u55.accelerators import MAC_COUNTS
from targets.ethos_u55.ports import BEAT_BYTES
from targets.simulator.timing.results import Bound, NetworkTiming, OperationTiming
from targets.simulator.weights.compression import WeightStream

__all__ = ["Layer", "explain", "layers_of", "operation_label"]

#: The estimate of the same network if the weight streams of some operations, by index, had only a
#: share of their size.
WhatIf = Callable[[Mapping[int, float]], NetworkTiming]
#: The weights of the operations at these indices together; None if unknown.
Weights = Callable[[Sequence[int]], "WeightStream | None"]

_MEMORY = (Bound.FLASH, Bound.SRAM)
#: The factors tried on the share that was solved for, because waiting is not quite linear in it.
_SAFETY = (1.0, 0.98, 0.95, 0.9)


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


def explain(
    timing: NetworkTiming,
    names: Mapping[int, NamedOperation],
    what_if: WhatIf,
    weights: Weights,
    vela_cycles: int,
) -> str:
    """The statement; empty for a network that takes no time.

    Its first sentence can stand alone. `vela_cycles` is Vela's own estimate for the network, which
    is shown next to ours.
    """
    layers = layers_of(timing, names)
    if not layers:
        return ""
    bound, cycles = _binding(timing)
    # One layer that is bound by something else does not explain a compute-bound network.
    typical = [layer for layer in layers if layer.decisive.bound_by is bound]
    layer = max(typical or layers, key=lambda each: each.total)
    sentence, figures = _statement(layer, timing, what_if, weights)
    figures.append(
        f"{layer.name} takes {layer.total / timing.npu_active:.0%} of the network's "
        f"{timing.npu_active:,} cycles (estimate; Vela's: {vela_cycles:,}), {bound.value} binds "
        f"{cycles / timing.npu_active:.0%} of them"
    )
    return f"estimate: {sentence}. {'; '.join(figures)}."


def _binding(timing: NetworkTiming) -> tuple[Bound, float]:
    """What binds the most cycles of the network, and how many."""
    cycles: dict[Bound, float] = {}
    for row in timing.operations:
        if row.total > 0:
            cycles[row.bound_by] = cycles.get(row.bound_by, 0.0) + row.total
    return max(cycles.items(), key=lambda item: item[1])


def _statement(
    layer: Layer, timing: NetworkTiming, what_if: WhatIf, weights: Weights
) -> tuple[str, list[str]]:
    """The sentence, and the figures that belong to it."""
    decisive = layer.decisive
    name = f"{layer.name} is"
    at = f"at {timing.macs} MACs"
    bound = decisive.bound_by
    if isinstance(decisive.operation, Dma):
        size = sum(beats.read for beats in decisive.beats) * BEAT_BYTES / KIB
        return (
            f"the transfer {layer.name} of {size:.1f} KiB is {bound.value}-bound {at}, and nothing "
            "overlaps it: fewer bytes help",
            [],
        )
    if bound in _MEMORY and layer.weight_indices and layer.waiting > 0:
        remedy, figures = _remedy(layer, timing, what_if, weights)
        waiting = f"{layer.waiting:.0%} of its cycles wait for weights"
        return f"{name} {bound.value}-bound {at}: {waiting}; {remedy}", figures
    if bound in _MEMORY:
        return f"{name} {bound.value}-bound {at}: smaller feature maps help, more MACs do not", []
    if bound is Bound.WEIGHT_DECODE:
        return (
            f"{name} bound by the weight decoder {at}, which takes as long for a zero as for any "
            "other weight: only fewer weights help",
            [],
        )
    if bound is Bound.COMPUTE and decisive.output > decisive.mac:
        return f"{name} bound by the output stage {at}: fewer elements help", []
    if bound is Bound.COMPUTE:
        more = (
            "fewer operations"
            if timing.macs == max(MAC_COUNTS)
            else "more MACs or fewer operations"
        )
        return (
            f"{name} compute-bound {at}: {more} help, smaller weights do not",
            [],
        )
    return (
        f"{name} latency-bound {at}: small operations wait for one another; neither MACs nor "
        "bandwidth help",
        [],
    )


def _remedy(
    layer: Layer, timing: NetworkTiming, what_if: WhatIf, weights: Weights
) -> tuple[str, list[str]]:
    """Below which encoded size the layer becomes compute-bound, and what that would gain."""
    indices = layer.weight_indices
    share = _threshold(indices, timing, what_if)
    if share is None:
        return "smaller weights alone do not make it compute-bound", []
    then = what_if(dict.fromkeys(indices, share)).npu_active
    figures = [f"the network would then take {then:,} cycles instead of {timing.npu_active:,}"]
    stream = weights(indices)
    if stream is None:
        return f"it becomes compute-bound below {share:.0%} of their encoded size", figures
    size = share * stream.encoded_bytes
    sparsity = stream.sparsity_at(size)
    about = "" if sparsity is None else f" (about {sparsity:.0%} sparsity)"
    figures.insert(0, f"Now {stream.encoded_bytes / KIB:.1f} KiB at {stream.sparsity:.0%} sparsity")
    return f"it becomes compute-bound below {size / KIB:.1f} KiB encoded{about}", figures


def _threshold(indices: Sequence[int], timing: NetworkTiming, what_if: WhatIf) -> float | None:
    """The share of their weight streams at which operations become compute-bound, 0..1.

    A port's busy time is linear in what it moves, so two estimates are enough to solve for the
    share: one as it is, one without weights. A third estimate, at that share, confirms it. None if
    there is no such share.
    """
    none = what_if(dict.fromkeys(indices, 0.0))
    shares = []
    for index in indices:
        now, free = timing.operations[index], none.operations[index]
        busy, fixed = _memory(now), _memory(free)
        if busy <= now.compute:
            continue
        if fixed >= now.compute or busy <= fixed:
            return None
        shares.append((now.compute - fixed) / (busy - fixed))
    if not shares:
        return None
    for safety in _SAFETY:
        share = min(shares) * safety
        then = what_if(dict.fromkeys(indices, share))
        if all(then.operations[index].bound_by not in _MEMORY for index in indices):
            return share
    return None


def _memory(row: OperationTiming) -> float:
    return max(row.flash, row.sram)
