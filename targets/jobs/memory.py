"""Corstone-300's memories as a job sees them: addresses in non-secure form.

Every secure alias is `SECURE_ALIAS` higher. The firmware uses the alias that its security state
allows; a job need not know.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.units import MIB

__all__ = [
    "JOB_ADDRESS",
    "JOB_BYTES_MAX",
    "JOB_LOAD_ADDRESS",
    "NPU_MEMORIES",
    "SECURE_ALIAS",
    "MemoryBank",
    "bank_of",
    "overlap",
]

SECURE_ALIAS = 0x1000_0000


@dataclass(frozen=True)
class MemoryBank:
    """One memory, with its `address` in non-secure form and its `size` in bytes."""

    name: str
    address: int
    size: int

    def holds(self, address: int, size: int) -> bool:
        """Whether `size` bytes at `address` are inside."""
        return self.address <= address and address + size <= self.address + self.size


#: The memories that the NPU reaches; it cannot see the processor's TCMs.
NPU_MEMORIES = (
    MemoryBank("BRAM", 0x0100_0000, MIB),
    MemoryBank("ISRAM", 0x2100_0000, 2 * MIB),
    *(MemoryBank(f"DDR{i}", 0x6000_0000 + i * 0x2000_0000, 256 * MIB) for i in range(4)),
)

#: Where the firmware looks for the job image, in non-secure form.
JOB_ADDRESS = 0x6000_0000
JOB_BYTES_MAX = 256 * MIB

#: Where a loader (the FVP's `--data`, the board's `images.txt`) puts it, because the processor
#: starts in the secure state.
JOB_LOAD_ADDRESS = JOB_ADDRESS + SECURE_ALIAS


def bank_of(address: int, size: int) -> MemoryBank | None:
    """The memory that holds `size` bytes at `address`, or None."""
    return next((bank for bank in NPU_MEMORIES if bank.holds(address, size)), None)


def overlap(a: int, a_size: int, b: int, b_size: int) -> bool:
    """Whether two ranges of bytes overlap."""
    return a < b + b_size and b < a + a_size and a_size > 0 and b_size > 0
