"""Micro-blocks: the elements that the multipliers work on at once.

From Vela: `ofm_ublock` and `ifm_ublock` of `architecture_features.py`, where a `Block` is width,
height, depth.
"""

from __future__ import annotations

from typing import NamedTuple

from targets.ethos_u55.accelerators import Accelerator

__all__ = ["IFM_MICRO_BLOCK_DEPTH", "MicroBlock", "ofm_micro_block"]


class MicroBlock(NamedTuple):
    """Elements along each axis."""

    height: int
    width: int
    depth: int


_OFM = {
    Accelerator.U55_32: MicroBlock(1, 1, 4),
    Accelerator.U55_64: MicroBlock(1, 1, 8),
    Accelerator.U55_128: MicroBlock(1, 2, 8),
    Accelerator.U55_256: MicroBlock(2, 2, 8),
}

#: Channels of an IFM micro-block, the same in all four configurations.
IFM_MICRO_BLOCK_DEPTH = 8


def ofm_micro_block(macs: int) -> MicroBlock:
    """The OFM micro-block with `macs` MACs. Raises `ValueError` for any other number."""
    return _OFM[Accelerator(macs)]
