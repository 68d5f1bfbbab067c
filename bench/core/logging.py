"""The bench's logger: what is worth knowing but is not a result of a run.

A module calls `logger(__name__)` and logs when it does something unusual: a retry, a wait, a
removal, a fallback. Level WARNING is for what every user should hear, level INFO for what helps to
find a reason. Figures, verdicts and errors are not logged.

The program decides once, at its start, where the log goes: `bench` writes to the terminal, and a
test run to one file per process in the run's directory.
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
    """The logger of the module `name`, below the bench's own."""
    return logging.getLogger(name if name.startswith(f"{_ROOT}.") else f"{_ROOT}.{name}")


@contextmanager
def log_to_terminal(*, verbose: bool) -> Iterator[None]:
    """During the block, write warnings to standard error, or everything if `verbose`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_SafeFormatter("bench: %(message)s"))
    with _handled_by(handler, logging.INFO if verbose else logging.WARNING):
        yield


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """During the block, append everything to the file at `path`, UTF-8, made when needed."""
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(_SafeFormatter(_IN_A_FILE))
    with _handled_by(handler, logging.INFO):
        yield


@contextmanager
def log_to_lines(tell: Callable[[str], None]) -> Iterator[None]:
    """During the block, pass each warning to `tell`, as one line, for lack of a terminal."""
    with _handled_by(_Lines(tell), logging.WARNING):
        yield


@contextmanager
def _handled_by(handler: logging.Handler, level: int) -> Iterator[None]:
    root = logging.getLogger(_ROOT)
    before = root.level
    handler.setLevel(level)
    # Blocks may be nested: the outer one still gets what it asked for.
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
    """A log that nothing depends on; if the disk is full, the code that writes results says so."""

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
