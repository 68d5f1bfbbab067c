"""Whether a file was touched between two looks, for the price of a look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Stamp"]


@dataclass(frozen=True)
class Stamp:
    """What changes with every change of a file, even with one that is undone.

    `changed_ns` is the kernel's own note of the last change of content or properties, which no
    program sets: putting an old file back does not put it back.
    """

    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of the file at `path`. Raises `OSError` where there is none."""
        found = path.stat()
        return cls(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
