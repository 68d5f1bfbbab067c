"""The small devices around the NPU. Each has `read(offset)` and `write(offset, value)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Device", "ProtectionController", "Scratch", "TimingAdapters", "Uart"]

#: The value of the version register of Arm's timing adapter.
ADAPTER_VERSION = 0x1117


class Device(Protocol):
    """Something mapped into the address space. Offsets in bytes, values 32 bits."""

    def read(self, offset: int) -> int:
        """A load."""
        ...

    def write(self, offset: int, value: int) -> None:
        """A store."""
        ...


class Uart:
    """A CMSDK UART that is always ready: what is stored to DATA goes to `sink`, if enabled."""

    _DATA = 0x00
    _CTRL = 0x08
    _TX_ENABLE = 1

    def __init__(self, sink: Callable[[int], None]) -> None:
        self._sink = sink
        self._registers: dict[int, int] = {}

    def read(self, offset: int) -> int:
        """STATE (4) is 0: the transmitter is not full, and nothing was received."""
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """DATA transmits when CTRL bit 0 allows; the other registers keep their value."""
        if offset != self._DATA:
            self._registers[offset] = value
        elif self._registers.get(self._CTRL, 0) & self._TX_ENABLE:
            self._sink(value & 0xFF)


class Scratch:
    """A device that only needs to answer: SCC, FPGAIO."""

    def __init__(self) -> None:
        self._registers: dict[int, int] = {}

    def read(self, offset: int) -> int:
        """The stored value, or 0."""
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Keep it."""
        self._registers[offset] = value


class TimingAdapters:
    """Arm's two timing adapters in one page, port 1 at 0x200."""

    _STRIDE = 0x200
    _VERSION = 0x38
    _MAXPENDING = 0x2C
    #: MAXR, MAXW, MAXRW, RLATENCY, WLATENCY, PULSE_ON, PULSE_OFF, BWCAP, PERFCTRL, MODE.
    _WORDS = (0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x1C, 0x20, 0x28)

    def __init__(self, version: int = ADAPTER_VERSION) -> None:
        self._version = version
        self._registers: dict[int, int] = {}

    def read(self, offset: int) -> int:
        """The version, or the stored value."""
        if offset % self._STRIDE == self._VERSION:
            return self._version
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Store the value, if the register can be written."""
        if offset % self._STRIDE not in (self._VERSION, self._MAXPENDING):
            self._registers[offset] = value

    def words(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The values of the two ports, in `TimingAdapter.words` order."""
        first, second = (
            tuple(self._registers.get(port * self._STRIDE + word, 0) for word in self._WORDS)
            for port in (0, 1)
        )
        return first, second


class ProtectionController:
    """A memory protection controller of two blocks (words of 32), all secure after reset.

    `changed` is called with whether the whole memory now belongs to the secure world.
    """

    _BLOCK_MAX = 0x10
    _BLOCK_INDEX = 0x18
    _BLOCK_TABLE = 0x1C
    _WORDS = 2

    def __init__(self, changed: Callable[[bool], None], *, non_secure: bool = False) -> None:
        self._changed = changed
        self._table = [0xFFFF_FFFF if non_secure else 0] * self._WORDS
        self._index = 0
        changed(not non_secure)

    def read(self, offset: int) -> int:
        """BLK_MAX, BLK_IDX, BLK_LUT; others read 0."""
        if offset == self._BLOCK_MAX:
            return self._WORDS - 1
        if offset == self._BLOCK_INDEX:
            return self._index
        return self._table[self._index] if offset == self._BLOCK_TABLE else 0

    def write(self, offset: int, value: int) -> None:
        """BLK_IDX and BLK_LUT; others do nothing here."""
        if offset == self._BLOCK_INDEX:
            self._index = value % self._WORDS
        elif offset == self._BLOCK_TABLE:
            self._table[self._index] = value
            self._changed(not any(self._table))
