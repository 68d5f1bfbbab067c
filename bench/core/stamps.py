"""Whether a file was touched between two moments, without reading it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Stamp"]


@dataclass(frozen=True)
class Stamp:
    """A value that changes with every change of a file, even with one that is undone.

    `changed_ns` is the kernel's own time of the last change of contents or properties. No program
    can set it, so restoring an old file does not restore it.
    """

    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of the file at `path`. Raises `OSError` if there is no file."""
        found = path.stat()
        return cls(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
