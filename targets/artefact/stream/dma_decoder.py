"""NPU_OP_DMA_START: from registers to a `Dma`."""

from __future__ import annotations

from targets.artefact.stream.operations import Dma
from targets.artefact.stream.register_file import RegisterFile
from targets.artefact.stream.registers import Reg
from targets.ethos_u55.addresses import ALIGNMENT
from targets.ethos_u55.shram import LUT_BYTES, lut_address

__all__ = ["dma"]

_INTERNAL = 1 << 8
_STRIDE_MODES = 3


def dma(registers: RegisterFile, issue_words: int, macs: int) -> Dma:
    """Decode a transfer. A destination in SHRAM becomes an offset into the look-up tables.

    Each end has a stride mode (0: 1D, 1: 2D, 2: 3D). `DMA0_SKIP0` and `_SKIP1` are the distances
    between the starts of rows and of planes at a strided end. Vela 5.2.0 emits only 1D, so the
    meaning of these registers is inferred from their names and widths.
    """
    source_word = registers.get(Reg.DMA0_SRC_REGION)
    destination_word = registers.get(Reg.DMA0_DST_REGION)
    if source_word & _INTERNAL:
        raise registers.fault("SHRAM cannot be the source of a transfer")
    source_mode, destination_mode = source_word >> 9, destination_word >> 9
    if _STRIDE_MODES in (source_mode, destination_mode):
        raise registers.fault(f"stride mode {_STRIDE_MODES} does not exist")
    if source_mode and destination_mode and source_mode != destination_mode:
        raise registers.fault("the two ends of the transfer have different stride modes")
    mode = max(source_mode, destination_mode)
    length = registers.aligned(Reg.DMA0_LEN, ALIGNMENT)
    size0 = registers.get(Reg.DMA0_SIZE0) if mode >= 1 else 1
    size1 = registers.get(Reg.DMA0_SIZE1) if mode >= 2 else 1
    if not (length and size0 and size1):
        raise registers.fault(f"a transfer of {length} bytes x {size0} x {size1} is empty")
    destination = registers.aligned(Reg.DMA0_DST, ALIGNMENT)
    destination_region: int | None = destination_word & 7
    if destination_word & _INTERNAL:
        if destination_mode:
            raise registers.fault("a strided transfer into SHRAM does not exist")
        destination_region = None
        tables = lut_address(macs)
        destination -= tables
        total = length * size0 * size1
        if destination < 0 or destination + total > LUT_BYTES:
            raise registers.fault(
                f"{total} bytes to SHRAM {destination + tables:#x} lie outside "
                f"the look-up tables at {tables:#x}"
            )
    return Dma(
        word=registers.word,
        issue_words=issue_words,
        source_region=source_word & 7,
        source=registers.aligned(Reg.DMA0_SRC, ALIGNMENT),
        destination_region=destination_region,
        destination=destination,
        length=length,
        size0=size0,
        size1=size1,
        skip0=registers.distance(Reg.DMA0_SKIP0) if mode >= 1 else 0,
        skip1=registers.distance(Reg.DMA0_SKIP1) if mode >= 2 else 0,
        source_strided=bool(source_mode),
        destination_strided=bool(destination_mode),
    )
