"""Turn errors of the operating system into a `CacheError` with file, cause and cure."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.core.errors import CacheError

__all__ = ["DISK_FULL", "cache_error", "reporting"]

#: The errno values that mean "no space": disk full, quota reached, file size limit.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_WRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_NOT_A_DIRECTORY = frozenset({errno.ENOTDIR, errno.EEXIST})
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})


def _cure(number: int | None) -> str:
    if number in DISK_FULL:
        return (
            "free space with `bench cache gc`, or set BENCH_CACHE to a directory on a larger disk"
        )
    if number in _NOT_WRITABLE:
        return "make it writable, or set BENCH_CACHE to a directory you may write to"
    if number in _NOT_A_DIRECTORY:
        return (
            "something that is not a directory is in the way: move it, "
            "or set BENCH_CACHE to another directory"
        )
    if number in _NO_LOCKS:
        return (
            "this file system gives no flock locks: set BENCH_CACHE to a directory on a local disk"
        )
    return "check the disk, or set BENCH_CACHE to a directory on another one"


def cache_error(action: str, path: Path, error: OSError) -> CacheError:
    """The `CacheError` for `error` in the attempt to `action` (a verb phrase) at `path`."""
    where = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else str(path)
    cause = error.strerror or str(error)
    return CacheError(f"cache: cannot {action}: {where}: {cause}", cure=_cure(error.errno))


@contextmanager
def reporting(action: str, path: Path) -> Iterator[None]:
    """Raise `CacheError` for any `OSError` of the block; `path` stands in for a missing name."""
    try:
        yield
    except OSError as error:
        raise cache_error(action, path, error) from error
