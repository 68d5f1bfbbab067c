"""Files that a user named: found, read, and written so that nobody sees partial contents."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.core.errors import ConfigError

__all__ = [
    "expanded",
    "open_regular",
    "read_regular",
    "reason",
    "replace_symlink",
    "sync_directory",
    "write_atomically",
    "write_whole",
]


#: Bytes read at once of a file that is longer than it was.
_CHUNK = 1 << 20


def expanded(path: Path) -> Path:
    """`path` with its `~` or `~user` replaced by that user's home directory.

    Raises:
        ConfigError: there is no such home here, or this locale cannot express the name.
    """
    try:
        whole = path.expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{path}: no home directory is known for {path.parts[0]!r}",
            cure="write the path out, beginning with /",
        ) from None
    try:
        os.fsencode(whole)
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{path}: file names are {error.encoding} in this locale, which has no "
            f"{error.object[error.start]!r}",
            cure="set LC_ALL=C.UTF-8",
        ) from None
    return whole


def reason(error: Exception) -> str:
    """What an error says, for a sentence that names the file already."""
    return str(getattr(error, "strerror", None) or error)


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open the regular file at `path`, which may be a link to one, for reading.

    Pipes, which would block, and devices, which may never end, are not read.

    Raises:
        OSError: from the file system, or EINVAL for another kind of file.
    """
    # Without O_NONBLOCK, opening a pipe waits for its other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            yield stream
    finally:
        os.close(descriptor)


def read_regular(path: Path, most: int) -> bytes:
    """The content of the regular file at `path`; see `open_regular`.

    Raises:
        OSError: as `open_regular`, or EFBIG for a file of more than `most` bytes.
    """
    with open_regular(path) as stream:
        # Before reading: a file of holes takes no room on the disk and all of it in memory.
        size = os.fstat(stream.fileno()).st_size
        # Python takes all the memory it is asked to fill at once, so it is not asked for `most`.
        content = stream.read(size + 1) if size <= most else b""
        while content and len(content) <= most and (more := stream.read(_CHUNK)):
            content += more
    if size > most or len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return content


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path` through a temporary name, fsync and rename.

    Raises:
        OSError: from the file system, or EINVAL if a device, a pipe or a directory has this name,
            because the rename would replace it; `path` is then unchanged.
    """
    with _renamed(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
        stream.flush()
        os.fsync(stream.fileno())


def write_whole(path: Path, content: bytes | str) -> None:
    """The same without fsync: nobody sees a part of it, unless the machine itself fails."""
    with _renamed(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def _renamed(path: Path) -> Iterator[BinaryIO]:
    """A file under a temporary name, which gets the name `path` when it has been written."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        # mkstemp makes files private; results are for everybody whom the umask allows.
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def sync_directory(path: Path) -> None:
    """Flush the names in `path` to the disk. Raises `OSError` from the file system."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_symlink(link: Path, target: str) -> None:
    """Point the symbolic link `link` at `target`, atomically."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
