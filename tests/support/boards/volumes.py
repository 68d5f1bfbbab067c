"""Volumes that break off, fail or keep count, for tests of what is written to a board's card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from targets.mps3.directory_volume import DirectoryVolume

__all__ = ["Broken", "Interrupted", "Unflushed", "tree"]

#: Called before operation `number` (from 0) named `what`; raises to break off. For a write it is
#: called again, as `half`, when half of it is written.
Interruption = Callable[[int, str], None]


class Broken(BaseException):
    """Stands for SIGKILL: nothing catches it, so nothing is cleaned up."""


class Unflushed(DirectoryVolume):
    """A volume that does not wait for the disk, whose other users make that slow."""

    def sync(self) -> None:
        """Nothing that a test could see."""


class Interrupted(Unflushed):
    """A volume on which `interruption` decides what happens, operation by operation."""

    def __init__(self, root: Path, interruption: Interruption) -> None:
        super().__init__(root)
        self._interruption = interruption
        self.operations: list[str] = []

    def _next(self, what: str) -> None:
        self._interruption(len(self.operations), what)
        self.operations.append(what)

    def write(self, name: str, data: bytes) -> None:
        with self._reporting("write", name):
            self._next(f"write {name}")
            self._path(name).write_bytes(data[: len(data) // 2])
            self._next(f"half {name}")
        super().write(name, data)

    def replace(self, source: str, target: str) -> None:
        with self._reporting("replace", target):
            self._next(f"replace {target}")
        super().replace(source, target)

    def remove(self, name: str) -> None:
        with self._reporting("remove", name):
            self._next(f"remove {name}")
        super().remove(name)

    def sync(self) -> None:
        with self._reporting("flush", ""):
            self._next("sync")
        super().sync()


def tree(root: Path) -> dict[str, bytes]:
    """Every file of the card."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
