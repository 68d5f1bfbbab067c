"""The log of the work with a board: every step in words, every byte of both lines."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from bench.core.logging import logger

__all__ = ["BoardLog"]

_LOG = logger(__name__)

#: Steps that an error repeats.
_RECENT = 12


class BoardLog:
    """Appends to `steps.log`, `mcc.log` and `uart0.log`; passes steps to `progress`."""

    def __init__(self, directory: Path, progress: Callable[[str], None] | None = None) -> None:
        self._directory = directory
        self._progress = progress
        self._recent: deque[str] = deque(maxlen=_RECENT)

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self._directory

    @property
    def recent(self) -> str:
        """The last steps, one per line, for the text of an error."""
        return "\n".join(f"     {step}" for step in self._recent)

    def step(self, text: str) -> None:
        """Something that was done or found."""
        self._recent.append(text)
        _LOG.info("board: %s", text)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._append("steps.log", f"{stamp} {text}\n".encode())
        if self._progress is not None:
            self._progress(text)

    def mcc(self, data: bytes) -> None:
        """Bytes from the console."""
        self._append("mcc.log", data)

    def uart(self, data: bytes) -> None:
        """Bytes from UART0."""
        self._append("uart0.log", data)

    def _append(self, name: str, data: bytes) -> None:
        if data:
            self._directory.mkdir(parents=True, exist_ok=True)
            with (self._directory / name).open("ab") as stream:
                stream.write(data)
