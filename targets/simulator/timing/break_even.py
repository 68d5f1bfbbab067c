"""Below which encoded size a layer that waits for its weights becomes compute-bound.

It takes a few estimates of the network with smaller weight streams, and no other compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from targets.simulator.timing.layers import MEMORY_BOUNDS, Layer
from targets.simulator.timing.results import NetworkTiming, OperationTiming
from targets.simulator.weights.compression import WeightStream

__all__ = ["BreakEven", "Weights", "WhatIf", "break_even"]

#: The estimate of the same network if the weight streams of some operations, by index, had only a
#: share of their size.
WhatIf = Callable[[Mapping[int, float]], NetworkTiming]
#: The weights of the operations at these indices together; None if unknown.
Weights = Callable[[Sequence[int]], "WeightStream | None"]

#: The factors tried on the share that was solved for, because waiting is not quite linear in it.
_SAFETY = (1.0, 0.98, 0.95, 0.9)


@dataclass(frozen=True)
class BreakEven:
    """Where a layer stops waiting for its weights."""

    #: Of the present encoded size, 0..1.
    share: float
    #: Cycles of the whole network then.
    network_cycles: int
    #: The layer's weights as they are now; None if unknown.
    stream: WeightStream | None

    @property
    def encoded_bytes(self) -> float | None:
        """The encoded size, in bytes; None if the present one is unknown."""
        return None if self.stream is None else self.share * self.stream.encoded_bytes

    @property
    def sparsity(self) -> float | None:
        """About how sparse the layer is at that size, 0..1; see `WeightStream.sparsity_at`."""
        size = self.encoded_bytes
        return None if self.stream is None or size is None else self.stream.sparsity_at(size)


def break_even(
    layer: Layer, timing: NetworkTiming, what_if: WhatIf, weights: Weights
) -> BreakEven | None:
    """The break-even of a layer that waits for its weights.

    None if smaller weights alone do not make it compute-bound.
    """
    indices = layer.weight_indices
    share = _threshold(indices, timing, what_if)
    if share is None:
        return None
    then = what_if(dict.fromkeys(indices, share)).npu_active
    return BreakEven(share, then, weights(indices))


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
        if all(then.operations[index].bound_by not in MEMORY_BOUNDS for index in indices):
            return share
    return None


def _memory(row: OperationTiming) -> float:
    return max(row.flash, row.sram)
