"""What limits a network and what would help: one sentence, and a second with the figures behind it.

The sentence is about the longest of the layers that are bound by what binds most of the network. If
this layer waits for its weights, the statement says below which encoded size it would be
compute-bound (by another estimate with smaller streams), and how sparse the layer would be at that
size (see `targets.simulator.weights.compression`).
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.core.units import KIB
from targets.artefact.layers import NamedOperation
from targets.artefact.stream.operations import Dma
from targets.ethos_u55.accelerators import MAC_COUNTS
from targets.ethos_u55.ports import BEAT_BYTES
from targets.simulator.timing.break_even import Weights, WhatIf, break_even
from targets.simulator.timing.layers import MEMORY_BOUNDS, Layer, layers_of
from targets.simulator.timing.results import Bound, NetworkTiming

__all__ = ["explain"]


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
    if layer.waits_for_weights:
        remedy, figures = _remedy(layer, timing, what_if, weights)
        waiting = f"{layer.waiting:.0%} of its cycles wait for weights"
        return f"{name} {bound.value}-bound {at}: {waiting}; {remedy}", figures
    if bound in MEMORY_BOUNDS:
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
    found = break_even(layer, timing, what_if, weights)
    if found is None:
        return "smaller weights alone do not make it compute-bound", []
    then = f"{found.network_cycles:,} cycles instead of {timing.npu_active:,}"
    figures = [f"the network would then take {then}"]
    stream, size = found.stream, found.encoded_bytes
    if stream is None or size is None:
        return f"it becomes compute-bound below {found.share:.0%} of their encoded size", figures
    about = "" if found.sparsity is None else f" (about {found.sparsity:.0%} sparsity)"
    figures.insert(0, f"Now {stream.encoded_bytes / KIB:.1f} KiB at {stream.sparsity:.0%} sparsity")
    return f"it becomes compute-bound below {size / KIB:.1f} KiB encoded{about}", figures
