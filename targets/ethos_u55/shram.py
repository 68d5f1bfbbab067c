"""The NPU's internal memory, SHRAM: its size, its look-up tables, its double buffers.

From Vela (`ArchitectureFeatures` of `architecture_features.py`).
"""

from __future__ import annotations

from targets.ethos_u55.accelerators import Accelerator

__all__ = [
    "BANK_BYTES",
    "IFM_BUFFERS",
    "LUT_BYTES",
    "LUT_SLOTS",
    "LUT_SLOT_BYTES",
    "lut_address",
    "shram_bytes",
]

#: SHRAM is divided into banks; IFM_IB_END, IFM2_IB_START and AB_START count them.
BANK_BYTES = 1024

_BANKS = {
    Accelerator.U55_32: 16,
    Accelerator.U55_64: 16,
    Accelerator.U55_128: 24,
    Accelerator.U55_256: 48,
}

#: Two banks at the end of SHRAM are kept for look-up tables.
LUT_BYTES = 2 * BANK_BYTES
#: A table of 256 one-byte entries; larger ones take several slots.
LUT_SLOT_BYTES = 256
#: How many slots ACTIVATION can name.
LUT_SLOTS = LUT_BYTES // LUT_SLOT_BYTES

#: The IFM part of SHRAM is double buffered (`TryBlockConfig` in regor's `ethos_u55.cpp`).
IFM_BUFFERS = 2


def shram_bytes(macs: int) -> int:
    """Size of SHRAM of the Ethos-U55 with `macs` MACs. Raises `ValueError` for another number."""
    return _BANKS[Accelerator(macs)] * BANK_BYTES


def lut_address(macs: int) -> int:
    """Where the look-up tables begin in SHRAM. Raises `ValueError` like `shram_bytes`."""
    return shram_bytes(macs) - LUT_BYTES
