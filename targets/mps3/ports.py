"""The ports to a board's hardware: two serial lines, a volume, and perhaps its power."""

from __future__ import annotations

from typing import Protocol

__all__ = ["BoardPorts", "Line", "Power", "Volume"]


class Line(Protocol):
    """A serial line, opened by one reader. Raises `BoardError` when it is gone."""

    def read(self, timeout: float) -> bytes:
        """The bytes that arrived; waits up to `timeout` seconds for the first, else returns b""."""
        ...

    def write(self, data: bytes) -> None:
        """Send `data`; it has left the host when this returns."""
        ...

    def close(self) -> None:
        """Close the line. May be called twice."""
        ...


class Volume(Protocol):
    """The SD card's file system. Names are relative, with `/`; letter case does not matter.

    All methods raise `CardError` if the card is full, read-only or not writable for us, and
    `BoardError` if it went away.
    """

    def describe(self) -> str:
        """Where it is, for messages."""
        ...

    def present(self) -> bool:
        """Whether it can be seen now."""
        ...

    def listing(self, directory: str) -> tuple[str, ...]:
        """The names in `directory`, in their own spelling; empty if there is no such directory."""
        ...

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None if there is no such file."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a new file or replace an old one, on the card itself."""
        ...

    def replace(self, source: str, target: str) -> None:
        """Rename `source` to `target`, atomically."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file. It is not an error if it is already gone."""
        ...

    def free_bytes(self) -> int:
        """The free space."""
        ...

    def sync(self) -> None:
        """Flush: when this returns, everything written so far is on the card."""
        ...


class Power(Protocol):
    """Something that can switch the board off and on."""

    def cycle(self) -> None:
        """Switch off, wait a moment, switch on. Raises `BoardError`."""
        ...


class BoardPorts(Protocol):
    """The ports of one board. All processes on this machine get the same `key` for a board."""

    @property
    def key(self) -> str:
        """A name for leases and quarantines; file-name safe."""
        ...

    @property
    def power(self) -> Power | None:
        """None if nothing can switch the board."""
        ...

    def open_console(self) -> Line:
        """The MCC's console. Raises `BoardError`."""
        ...

    def open_uart(self) -> Line:
        """The application UART. Raises `BoardError`."""
        ...

    def volume(self) -> Volume:
        """The SD card; may be absent for now."""
        ...

    def close(self) -> None:
        """Release what was acquired to reach the board."""
        ...
