"""Seats: how many FVP processes run at once on this machine, whichever bench starts them.

A seat is a lock file: the process that holds its lock has the seat. The kernel releases it however
the process ends. All benches of one user share the seats, whatever number each was given.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bench.core.errors import PrerequisiteError
from bench.core.logging import logger

__all__ = ["seat", "seats_directory"]

_LOG = logger(__name__)

_POLL_SECONDS = 0.05


def seats_directory() -> Path:
    """Where this user's seats on this machine are; not on a disk shared with other machines."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    root = Path(runtime or tempfile.gettempdir())
    return root / f"ethos-u55-bench-{os.getuid()}" / "seats"


@contextmanager
def seat(count: int, directory: Path) -> Iterator[int]:
    """Hold one of `count` seats during the block, waiting for it as long as necessary.

    Yields its number. Waiting polls, so Ctrl-C ends it at once. Raises `PrerequisiteError` if the
    directory cannot be used.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock, number = _wait(count, directory)
    except OSError as error:
        raise PrerequisiteError(
            f"the seats of FVP processes cannot be kept in {directory}: {error}",
            cure="set XDG_RUNTIME_DIR to a directory of your own on a local disk",
        ) from error
    try:
        yield number
    finally:
        # Never deleted, because another process may be waiting on this file.
        lock.release()


def _wait(count: int, directory: Path) -> tuple[FileLock, int]:
    told = False
    while True:
        for number in range(count):
            lock = FileLock(directory / f"fvp-{number}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return lock, number
        if not told:
            _LOG.info("all %d seats for FVP processes in %s are taken: waiting", count, directory)
            told = True
        time.sleep(_POLL_SECONDS)
