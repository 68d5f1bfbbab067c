"""The choices that no public source settles; published cycle counts decided them.

They choose between a few physical alternatives, are not fitted numbers, and are the same for all
accelerators and networks. `benchmarks/fidelity.py` shows for each published row what the other
rows alone would have decided (leave one out), and what that choice would have predicted for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["ALTERNATIVES", "DECIDED", "Assumptions"]


@dataclass(frozen=True)
class Assumptions:
    """The choices. Pass others to `estimate` to see what depends on them."""

    #: Bursts of commands fetched ahead of the one being parsed.
    commands_ahead: int = 1
    #: Block operations under way at once. 1 = each starts when the previous one has ended, and only
    #: then does the parser go on. 2 = they overlap as far as BLOCKDEP allows, and the parser
    #: waits at the third (`MaxOutstandingKernelOps` of Vela's `ethos_u55.hpp`). With 2 the DMA
    #: transfers between operations come so early that networks whose weights are copied to the
    #: SRAM are up to 7 % too fast.
    under_way: int = 1
    #: Cycles from an operation's end (its last write acknowledged) until an operation that waits
    #: for it fetches: the engines drain and fill again. It shows in networks with many tiny
    #: operations in a row, such as a softmax or the gates of a recurrent layer. Tried in steps of
    #: 16: 16 to 64 keep the four rows of `mnist_fc` within 3 % with its commands on AXI1, 48 to 96
    #: with them on AXI0; RNNoise on the FVP suggests a still larger value.
    restart: int = 48
    #: Bits of the IFM that pooling takes in a quarter of a multiplier pass, except on the smallest
    #: NPU. Vela's two compilers disagree: 2 in regor (8-bit pooling costs 4 passes), 8 in the
    #: older one (1 pass).
    pooling_bits: int = 8


#: What the published rows decided.
DECIDED = Assumptions()
#: What else is possible: each choice made otherwise, one at a time, as far as it was tried.
ALTERNATIVES = (
    replace(DECIDED, commands_ahead=0),
    replace(DECIDED, commands_ahead=4),
    replace(DECIDED, under_way=2),
    replace(DECIDED, restart=16),
    replace(DECIDED, restart=96),
    replace(DECIDED, pooling_bits=2),
)
