"""The ports to a board's hardware: two serial lines, a volume, and perhaps its power."""

from __future__ import annotations

from typing import Protocol

__all__ = ["BoardPorts", "Line", "Power", "Volume"]


class Line(Protocol):
    """A serial line, opened by one reader. Raises `BoardError` when it is gone."""

    def read(self, timeout: float) -> bytes:
        """What arrived; waits up to `timeout` seconds for a first byte, then returns b""."""
        ...

    def write(self, data: bytes) -> None:
        """Send `data`; it has left the host when this returns."""
        ...

    def close(self) -> None:
        """Give the line back. May be called twice."""
        ...


class Volume(Protocol):
    """The SD card's file system. Names are relative, with `/`; letter case does not matter.

    All raise `CardError` where the card is full, read-only or not ours to write, `BoardError`
    where it went away.
    """

    def describe(self) -> str:
        """Where it is, for messages."""
        ...

    def present(self) -> bool:
        """Whether it can be seen now."""
        ...

    def listing(self, directory: str) -> tuple[str, ...]:
        """The names in `directory`, as they are spelt; empty where there is none."""
        ...

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a new file, or over an old one, onto the card itself."""
        ...

    def replace(self, source: str, target: str) -> None:
        """Let `target` be what `source` is, atomically; `source` is then gone."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one that is already gone is no error."""
        ...

    def free_bytes(self) -> int:
        """Room for more."""
        ...

    def sync(self) -> None:
        """Everything written so far is on the card when this returns."""
        ...


class Power(Protocol):
    """Something that can switch the board off and on."""

    def cycle(self) -> None:
        """Off, a moment, on. Raises `BoardError`."""
        ...


class BoardPorts(Protocol):
    """One board's ports. `key` is the same for whoever on this machine means the same board."""

    @property
    def key(self) -> str:
        """A name for leases and quarantines; file-name safe."""
        ...

    @property
    def power(self) -> Power | None:
        """None where nothing can switch it."""
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
        """Give back what was taken to reach the board at all."""
        ...
