"""What no public source settles, and was decided by looking at published cycle counts.

They are choices between few physical alternatives, not fitted numbers, and the same for all
accelerators and networks. `benchmarks/fidelity.py` shows for each published row what the other
rows alone would have decided (leave one out), and what the choice would have predicted for it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DECIDED", "Assumptions"]


@dataclass(frozen=True)
class Assumptions:
    """The choices. Pass others to `estimate` to see what depends on them."""

    #: Bursts of commands fetched ahead of the one being parsed.
    commands_ahead: int = 1
    #: For which part of its write a DMA transfer to memory keeps the place of the read: 1 = until
    #: the write has been acknowledged, 0 = not at all. Matters where the adapter allows few reads:
    #: behind `u55_high_end` 6 bursts pass in a period of the flash (8.33 cycles a beat) if it
    #: does, 7 (7.14) if it does not. `benchmarks/reconstructions.py` bears out the first.
    dma_hold: float = 1.0
    #: Bits of the IFM that pooling takes in a quarter of a multiplier pass, except on the smallest
    #: NPU. Vela's two compilers disagree: 2 in regor (8-bit pooling costs 4 passes), 8 in the
    #: older one (1 pass).
    pooling_bits: int = 2


#: What the published rows decided.
DECIDED = Assumptions()
