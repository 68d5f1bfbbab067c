"""The bench's one logger: what is worth knowing and no result of a run.

A module asks `logger(__name__)` and says what it did instead of what was expected of it: tried
again, waited, removed, took the second best. At level WARNING stands what a user should hear of in
any case, at INFO what helps somebody who looks for the reason. Figures, verdicts and errors go
other ways.

Where it goes is for the program to choose, once, at its start: `bench` writes to the terminal, a
test run to a file of the run's directory for each process.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from bench.core.text import one_line, printable

__all__ = ["log_to_file", "log_to_lines", "log_to_terminal", "logger"]

_ROOT = "bench"
_IN_A_FILE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def logger(name: str) -> logging.Logger:
    """The logger of the module `name`, beneath the bench's own."""
    return logging.getLogger(name if name.startswith(f"{_ROOT}.") else f"{_ROOT}.{name}")


@contextmanager
def log_to_terminal(*, verbose: bool) -> Iterator[None]:
    """Within the block write to standard error: warnings, and if `verbose` everything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_SafeFormatter("bench: %(message)s"))
    with _handled_by(handler, logging.INFO if verbose else logging.WARNING):
        yield


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Within the block append everything to the file at `path`, UTF-8, made when first needed."""
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(_SafeFormatter(_IN_A_FILE))
    with _handled_by(handler, logging.INFO):
        yield


@contextmanager
def log_to_lines(tell: Callable[[str], None]) -> Iterator[None]:
    """Within the block hand each warning to `tell`, as one line: for who has no terminal."""
    with _handled_by(_Lines(tell), logging.WARNING):
        yield


@contextmanager
def _handled_by(handler: logging.Handler, level: int) -> Iterator[None]:
    root = logging.getLogger(_ROOT)
    before = root.level
    handler.setLevel(level)
    # Blocks may stand within each other: the outer one still hears what it asked for.
    root.setLevel(level if before == logging.NOTSET else min(level, before))
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()


class _Lines(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._tell(one_line(record.getMessage()))
        except Exception:
            self.handleError(record)


class _LogFile(logging.FileHandler):
    """A log nobody depends on: where the disk is full, what writes results there says so."""

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            super().emit(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Leave out the traceback logging prints, unless the call itself is wrong."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class _SafeFormatter(logging.Formatter):
    """Messages hold names from models and words of devices."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
