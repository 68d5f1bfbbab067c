"""The SD card as a mounted directory."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.core.files import sync_directory
from targets.mps3.errors import volume_error

__all__ = ["DirectoryVolume"]

_CHUNK = 1 << 20


class DirectoryVolume:
    """The port `Volume` for the directory where the card is mounted."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def describe(self) -> str:
        """The directory."""
        return str(self._root)

    def present(self) -> bool:
        """Whether anything is there."""
        try:
            return any(self._root.iterdir())
        except OSError:
            return False

    def listing(self, directory: str) -> tuple[str, ...]:
        """The names in it, sorted."""
        with self._reporting("list", directory):
            try:
                return tuple(sorted(path.name for path in self._path(directory).iterdir()))
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return ()

    def read(self, name: str) -> bytes | None:
        """The file's bytes, or None."""
        with self._reporting("read", name):
            try:
                return self._path(name).read_bytes()
            except FileNotFoundError:
                self._require_root()
                return None

    def write(self, name: str, data: bytes) -> None:
        """Write in pieces, then flush the file and its directory."""
        with self._reporting("write", name):
            path = self._path(name)
            with path.open("wb") as stream:
                for start in range(0, len(data), _CHUNK):
                    stream.write(data[start : start + _CHUNK])
                stream.flush()
                os.fsync(stream.fileno())
            sync_directory(path.parent)

    def replace(self, source: str, target: str) -> None:
        """Rename, and flush the directory."""
        with self._reporting("replace", target):
            self._path(source).replace(self._path(target))
            sync_directory(self._path(target).parent)

    def remove(self, name: str) -> None:
        """Unlink, and flush the directory."""
        with self._reporting("remove", name):
            self._path(name).unlink(missing_ok=True)
            sync_directory(self._path(name).parent)

    def free_bytes(self) -> int:
        """The space that an ordinary user may still use."""
        with self._reporting("measure", ""):
            status = os.statvfs(self._root)
            return status.f_bavail * status.f_frsize

    def sync(self) -> None:
        """Flush the whole file system, not only what was written through this object."""
        with self._reporting("flush", ""):
            if not self.present():
                # An empty mount point can be flushed too, but nothing would be on the card.
                raise FileNotFoundError(errno.ENOENT, "the volume is not there", str(self._root))
            descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            finally:
                os.close(descriptor)

    def _path(self, name: str) -> Path:
        """The path of `name`, whatever the case of its letters on the card."""
        path = self._root
        for part in Path(name).parts:
            if not (path / part).exists() and path.is_dir():
                found = [entry for entry in path.iterdir() if entry.name.upper() == part.upper()]
                path = found[0] if found else path / part
            else:
                path = path / part
        return path

    def _require_root(self) -> None:
        if not self._root.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the volume is not there", str(self._root))

    @contextmanager
    def _reporting(self, verb: str, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"cannot {verb} {self._root / name}: {error.strerror or error}"
            raise volume_error(error.errno, what) from error
