"""The log of one process: its whole output, or the beginning and the end of a long one."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

__all__ = ["OutputLog"]

#: How many bytes of both ends are kept in memory.
_EDGE = 16 << 10


class OutputLog:
    """Writes output to `path` as it arrives, at most about `limit` bytes. A context manager."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file: BinaryIO | None = None
        self.size = 0
        self._head = b""
        self._tail = b""

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return self._head

    @property
    def tail(self) -> bytes:
        """The last bytes that are not in `head`."""
        return self._tail

    def __enter__(self) -> OutputLog:
        # Unbuffered, so that the log of a killed bench is complete up to that moment.
        self._file = self._path.open("wb", buffering=0)
        return self

    def write(self, data: bytes) -> None:
        """Keep `data`. Raises OSError when the file cannot be written."""
        room = max(0, self._limit - self.size)
        if self._file is not None and room:
            self._file.write(data[:room])
        self.size += len(data)
        missing = _EDGE - len(self._head)
        self._head += data[:missing]
        self._tail = (self._tail + data[missing:])[-_EDGE:]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is None:
            return
        with self._file as file:
            if self.size > self._limit:
                kept = self._tail[-(self.size - self._limit) :]
                left_out = self.size - self._limit - len(kept)
                file.write(b"\n[... %d bytes left out by the bench ...]\n" % left_out + kept)
        self._file = None
