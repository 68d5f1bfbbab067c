"""File operations that survive a power cut, and removal that tolerates other processes.

The functions raise plain `OSError`; callers say what they were doing (`faults.reporting`).
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from bench.core.files import sync_directory

__all__ = ["list_directory", "make_directory", "remove_tree", "write_file"]


def make_directory(path: Path) -> None:
    """Create `path` and its missing parents, and flush each one's name to the disk."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write a new file and flush it. The caller flushes the directory."""
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def list_directory(path: Path) -> list[Path]:
    """The contents of `path`, sorted by name; nothing if it does not exist."""
    try:
        return sorted(path.iterdir())
    except FileNotFoundError:
        return []


def remove_tree(path: Path) -> None:
    """Remove a file, or a directory with its contents. It is not an error if it is already gone.

    Two processes may be removing the same directory, and an orphaned child of a killed build may
    still be adding files to it. So a few attempts are made before the error is passed on.
    """
    attempts = 3
    for attempt in range(1, attempts + 1):
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            if not os.path.lexists(path):
                return
            if attempt == attempts:
                raise
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or attempt == attempts:
                raise
        else:
            return
