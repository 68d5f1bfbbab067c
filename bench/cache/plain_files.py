"""Read plain files and nothing else: a pipe never answers, a device never ends, a link leads away.

The cache wrote its files, but it is on a disk, and disks are restored from backups, shared and
edited. So nothing there is opened before it is known to be a file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "NotPlainError",
    "hash_stream",
    "is_plain_directory",
    "open_plain",
    "opened_plain",
    "read_descriptor",
    "walk",
]

_CHUNK = 1 << 20
#: If a pipe or a link has replaced the file since the check, neither wait nor follow.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotPlainError(OSError):
    """Something other than a plain file has the name."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "not a plain file", str(path))


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """Open the plain file at `path` for reading. Never blocks, follows no link.

    Raises `NotPlainError` if a directory, link, pipe, socket or device has the name, and `OSError`
    for errors of the file system.
    """
    with (
        opened_plain(path) as (descriptor, _),
        os.fdopen(descriptor, "rb", closefd=False) as stream,
    ):
        yield stream


@contextmanager
def opened_plain(path: Path) -> Iterator[tuple[int, os.stat_result]]:
    """The same as a descriptor, with what the file system says of it.

    For small files: a stream asks the system twice as often.
    """
    # Check before opening, because some devices take opening as a command.
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise NotPlainError(path)
    descriptor = os.open(path, _FLAGS)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotPlainError(path)
        yield descriptor, found
    finally:
        os.close(descriptor)


def read_descriptor(descriptor: int, size: int) -> bytes:
    """The rest of the plain file at `descriptor`, which is `size` bytes; one more if it is longer.

    Raises `OSError`.
    """
    content = os.read(descriptor, size + 1)
    while len(content) < size and (more := os.read(descriptor, size + 1 - len(content))):
        content += more
    return content


def is_plain_directory(path: Path) -> bool:
    """Whether `path` itself is a directory, not a link to one. Raises `OSError` if it is absent."""
    return stat.S_ISDIR(os.lstat(path).st_mode)


def hash_stream(stream: BinaryIO) -> tuple[str, int]:
    """sha256 (64 hex digits) of the rest of `stream`, and its bytes. Raises `OSError`."""
    digest = hashlib.sha256()
    size = 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def walk(directory: Path) -> Iterator[Path]:
    """Everything below `directory`, sorted, parents first; links are listed but not followed."""
    for path in sorted(directory.iterdir()):
        yield path
        if is_plain_directory(path):
            yield from walk(path)
