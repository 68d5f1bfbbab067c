"""Is a network limited by its MAC engines or by memory? Judged over the MAC sweep.

A network that is limited by arithmetic becomes twice as fast when the number of multiply-accumulate
units doubles. Arm's study of pruning and clustering reads the same sweep by eye: where the cycles
stop falling, the MAC engines starve. Here the sweep gives one number, the *scaling efficiency*, and
the layers say which resource the starved engines wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from bench.plan.config import Binding, SweepConfig
from bench.records.binding import CellBinding
from targets.ethos_u55.accelerators import Accelerator

__all__ = [
    "SweepResult",
    "classify",
    "scaling_efficiency",
]


@dataclass(frozen=True)
class SweepResult:
    """The outcome of one MAC sweep."""

    binding: Binding
    #: 1 = cycles fall in proportion to the added MACs; 1/ratio = they do not fall at all.
    efficiency: float
    #: Speed-up of each accelerator over the next smaller one.
    speedups: Mapping[Accelerator, float]
    #: The binding memory at the largest accelerator; empty if arithmetic binds.
    memory: str
    #: Share of cycles bound by memory at the largest accelerator, 0..1.
    memory_share: float
    reason: str
    #: How the sweep contradicts the layers; empty if they agree.
    disagreement: str = ""


def scaling_efficiency(cycles: Mapping[Accelerator, int]) -> float:
    """The speed-up from the smallest to the largest accelerator, divided by the ideal speed-up.

    `(cycles[smallest] / cycles[largest]) / (largest / smallest)`: 1.0 is perfect scaling. From 32
    to 256 MACs, 0.125 means that the added MACs gained nothing.
    """
    small, large = min(cycles), max(cycles)
    return (cycles[small] / cycles[large]) / (large / small)


def classify(
    cycles: Mapping[Accelerator, int],
    bindings: Mapping[Accelerator, CellBinding],
    config: SweepConfig,
    caveat: str = "",
) -> SweepResult:
    """Name what limits the network, by the sweep and by the layers.

    * `compute`: the efficiency reaches `config.starved_below`; adding MACs still pays.
    * `memory`: it does not, and at the largest accelerator memories bind at least
      `config.memory_share_from` of the cycles.
    * `overhead`: it does not, although memory does not bind: the engines wait for command
      issue, block drain or element-wise work.

    Sweep and layers can contradict each other in both directions, and the result says so: the
    cycles fall although memory binds most of them, or they do not fall although arithmetic does.

    Args:
        cycles: NPU cycles of each accelerator; at least two, all above 0.
        bindings: for the same accelerators.
        config: the thresholds.
        caveat: the remark that must accompany `cycles`, in brackets, with a leading blank.
    """
    efficiency = scaling_efficiency(cycles)
    ordered = sorted(cycles)
    speedups = {b: cycles[a] / cycles[b] for a, b in pairwise(ordered)}
    at_largest = bindings[ordered[-1]]
    share = at_largest.memory_share
    binding: Binding
    if efficiency >= config.starved_below:
        binding = "compute"
    elif share >= config.memory_share_from:
        binding = "memory"
    else:
        binding = "overhead"
    disagreement = _disagreement(binding, at_largest, config)
    reason = (
        f"{cycles[ordered[0]]:,} -> {cycles[ordered[-1]]:,} cycles{caveat} from {int(ordered[0])} "
        f"to {int(ordered[-1])} MACs: scaling efficiency {efficiency:.2f} "
        f"(starved below {config.starved_below:.2f}); memory binds {share:.0%} of the cycles "
        f"at {int(ordered[-1])} MACs"
        + (f", most of it {at_largest.memory}" if share else "")
        + (f"; {disagreement}" if disagreement else "")
    )
    memory = at_largest.memory if binding == "memory" else ""
    return SweepResult(binding, efficiency, speedups, memory, share, reason, disagreement)


def _disagreement(binding: Binding, layers: CellBinding, config: SweepConfig) -> str:
    """How the outcome of the sweep contradicts what binds the layers; empty if it does not."""
    compute = layers.shares.get("compute", 0.0)
    if binding == "compute" and layers.memory_share >= config.memory_share_from:
        return (
            "sweep and layers disagree: the cycles still fall, yet by its layers memory binds "
            f"{layers.memory_share:.0%} of them"
        )
    if binding != "compute" and compute >= config.memory_share_from:
        return (
            "sweep and layers disagree: the cycles do not fall, yet by its layers arithmetic "
            f"binds {compute:.0%} of them (layers that keep few multipliers busy)"
        )
    return ""
