"""The machine's memories, each visible at a non-secure and a secure address."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.core.units import KIB, MIB
from targets.jobs.memory import NPU_MEMORIES, SECURE_ALIAS
from targets.virtual.errors import BusError

__all__ = ["Block", "Bytes", "Memory"]

Bytes = NDArray[np.uint8]

#: Linux's value: the DDR's gigabyte is reserved, but uses no memory until it is written.
_MAP_NORESERVE = 0x4000

#: The memories that only the processor sees: name, non-secure address, size.
_PROCESSOR_MEMORIES = (
    ("ITCM", 0x0000_0000, 512 * KIB),
    ("DTCM", 0x2000_0000, 512 * KIB),
    ("QSPI", 0x2800_0000, 8 * MIB),
)


@dataclass(frozen=True)
class Block:
    """One memory and the bytes in it."""

    name: str
    address: int
    size: int
    #: Whether the NPU's AXI ports reach it.
    npu: bool
    contents: Bytes
    #: The address of the contents in this process, which the emulated processor uses directly.
    host_address: int

    @property
    def addresses(self) -> tuple[int, int]:
        """The two addresses at which it begins."""
        return self.address, self.address + SECURE_ALIAS


class Memory:
    """All memories of the machine, filled with zeros."""

    def __init__(self) -> None:
        self.blocks = (
            *(
                _block(name, address, size, npu=False)
                for name, address, size in _PROCESSOR_MEMORIES
            ),
            *(_block(bank.name, bank.address, bank.size, npu=True) for bank in NPU_MEMORIES),
        )

    def find(self, address: int, size: int = 1) -> tuple[Block, int]:
        """The block that holds `size` bytes at `address`, either alias, and the offset in it.

        Raises `BusError` if there is none.
        """
        for block in self.blocks:
            for start in block.addresses:
                if start <= address and address + size <= start + block.size:
                    return block, address - start
        raise BusError(f"no memory holds {size} bytes at {address:#010x}")

    def read(self, address: int, size: int) -> bytes:
        """Bytes at `address`. Raises `BusError`."""
        block, offset = self.find(address, size)
        return block.contents[offset : offset + size].tobytes()

    def write(self, address: int, data: bytes) -> None:
        """Store `data` at `address`. Raises `BusError`."""
        block, offset = self.find(address, len(data))
        block.contents[offset : offset + len(data)] = np.frombuffer(data, np.uint8)


def _block(name: str, address: int, size: int, *, npu: bool) -> Block:
    room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
    contents = np.frombuffer(room, np.uint8)
    host_address = ctypes.addressof(ctypes.c_char.from_buffer(room))
    return Block(name, address, size, npu, contents, host_address)
