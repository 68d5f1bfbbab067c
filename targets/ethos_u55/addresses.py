"""Addresses as the NPU's registers hold them.

From Vela (`check_alignment` and `check_addresses` of `register_command_stream_util.py`) and Arm's
core driver, which refuses region bases and command streams that are not aligned.
"""

from __future__ import annotations

__all__ = ["ADDRESS_BITS", "ALIGNMENT"]

#: Width of an address or a distance in the command stream; distances are two's complement.
ADDRESS_BITS = 40
#: Bytes. Command streams, region bases, bricks of a feature map, weight streams and both ends of a
#: DMA transfer begin at multiples of this.
ALIGNMENT = 16
