"""The layout of feature maps in memory."""

from __future__ import annotations

__all__ = ["BRICK_CHANNELS"]

#: Channels of one brick of layout NHCWB16: `address = y*stride_y + c//16*stride_c + x*stride_x +
#: c%16*bytes` (Vela: `Tensor.address_for_coordinate` of `tensor.py`).
BRICK_CHANNELS = 16
