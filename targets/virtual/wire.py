"""What happens to UART0's bytes on their way: shutdown rules, and the faults of tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["UartFaults", "Wire"]

_EOT = 0x04
_FLOOD_LINE = b"Warning: this line is here to fill a log, and says nothing at all.\r\n"


@dataclass(frozen=True)
class UartFaults:
    """Faults, by the number of the byte that they affect, counted from 1; 0 = none."""

    lose: int = 0
    flip: int = 0
    truncate: int = 0
    stall: int = 0
    flood_bytes: int = 0


class Wire:
    """Takes UART0's bytes one by one; passes them on to `output`.

    Calls `shutdown` after EOT (if `on_eot`) or `tag` (if any), and `stall` to hang.
    """

    def __init__(
        self,
        output: Callable[[bytes], None],
        shutdown: Callable[[], None],
        stall: Callable[[], None],
        faults: UartFaults,
        *,
        on_eot: bool,
        tag: bytes,
    ) -> None:
        self._output = output
        self._shutdown = shutdown
        self._stall = stall
        self._faults = faults
        self._on_eot = on_eot
        self._tag = tag
        self._recent = b""
        self._count = 0
        self._flooded = faults.flood_bytes == 0

    def __call__(self, byte: int) -> None:
        """One byte sent by the firmware."""
        self._count += 1
        if self._count == self._faults.stall:
            self._stall()
        self._transmit(byte)
        if byte == ord("\n") and not self._flooded:
            self._flooded = True
            self._flood()
        if self._tag:
            self._recent = (self._recent + bytes([byte]))[-len(self._tag) :]
        if (byte == _EOT and self._on_eot) or (self._tag and self._recent == self._tag):
            self._shutdown()

    def _transmit(self, byte: int) -> None:
        faults = self._faults
        if self._count == faults.lose or (faults.truncate and self._count >= faults.truncate):
            return
        self._output(bytes([byte ^ 0x10 if self._count == faults.flip else byte]))

    def _flood(self) -> None:
        times, rest = divmod(self._faults.flood_bytes, len(_FLOOD_LINE))
        block = _FLOOD_LINE * 1000
        for _ in range(times // 1000):
            self._output(block)
        self._output(_FLOOD_LINE * (times % 1000) + b" " * rest)
