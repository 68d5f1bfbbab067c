"""Weights and scales: blocks that decide the order of a weight stream, and entries of tables."""

from __future__ import annotations

from enum import Enum

__all__ = ["SCALE_BYTES", "WeightOrder", "ifm_block_channels", "kernel_step"]

#: An output channel's entry in a table of scales: 40-bit bias, 32-bit multiplier, 6-bit shift
#: (Vela: `encode_bias` of `weight_compressor.py`).
SCALE_BYTES = 10


class WeightOrder(Enum):
    """How the weights of an operation are ordered."""

    DEPTH_FIRST = "depth-first"
    PART_KERNEL = "part-kernel"
    DEPTHWISE = "depthwise"


def ifm_block_channels(order: WeightOrder, ifm_bits: int) -> int:
    """Channels of an IFM block: 16 or 32.

    Vela: `calc_ifm_block_depth` of `architecture_features.py`. It gives 8 for a 32-bit IFM, which
    no operation with weights can have; here that is 32.
    """
    return 16 if order is WeightOrder.PART_KERNEL or ifm_bits == 16 else 32


def kernel_step(order: WeightOrder, ifm_bits: int) -> int:
    """Kernel elements that are taken at once; a sub-kernel is padded to a multiple of this.

    Vela: the behaviour of `mlw_codec.reorder_encode`.
    """
    if order is WeightOrder.DEPTH_FIRST:
        return 1
    return 2 if order is WeightOrder.PART_KERNEL and ifm_bits == 16 else 4
