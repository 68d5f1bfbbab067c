"""What is in the cache, how large it is, and when it was last used."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.cache.durable import list_directory
from bench.cache.faults import reporting
from bench.cache.layout import MANIFEST, Layout, is_entry_path
from bench.cache.plain_files import is_plain_directory

__all__ = [
    "TOUCH_SECONDS",
    "Stats",
    "Stored",
    "Usage",
    "is_from_the_future",
    "last_used",
    "measure",
    "scan",
    "touch",
]

#: An entry's "last used" stamp is renewed when it is further from now than this: one metadata write
#: per hour and entry, however often it is found. If a stamp is further in the future than the
#: clocks of two hosts may differ, a wrong clock has set it.
TOUCH_SECONDS = 3600.0


@dataclass(frozen=True)
class Usage:
    """How many entries, and the bytes of all their files (manifests too)."""

    entries: int = 0
    bytes: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.entries + other.entries, self.bytes + other.bytes)


@dataclass(frozen=True)
class Stats:
    """What a cache holds."""

    #: By kind, in alphabetical order.
    kinds: Mapping[str, Usage]
    #: Damaged entries moved aside, and builds running or left by killed processes.
    quarantine: Usage
    temporaries: Usage

    @property
    def total(self) -> Usage:
        """The entries that can be used."""
        return sum(self.kinds.values(), Usage())


@dataclass(frozen=True)
class Stored:
    """An entry on disk as `gc` sees it."""

    path: Path
    kind: str
    digest: str
    bytes: int
    #: Nanoseconds since the epoch; 0 for an entry that has no stamp because it is damaged.
    used_ns: int


def last_used(entry: Path) -> int:
    """The stamp of an entry, nanoseconds since the epoch; 0 where its manifest is missing."""
    try:
        return os.lstat(entry / MANIFEST).st_mtime_ns if is_plain_directory(entry) else 0
    except FileNotFoundError:
        return 0


def is_from_the_future(used_ns: int, now_ns: int) -> bool:
    """Whether a stamp does not say when its entry was used. Pure."""
    return used_ns - now_ns > TOUCH_SECONDS * 1e9


def touch(entry: Path) -> None:
    """Renew the stamp if it is further from now than `TOUCH_SECONDS`, in either direction.

    The user may be allowed to read the cache but not to write it, and an entry may disappear at
    this moment (the caller notices). Neither is an error.
    """
    with reporting("read the stamp of an entry", entry / MANIFEST):
        age = time.time() - last_used(entry) / 1e9
    if abs(age) <= TOUCH_SECONDS:
        return
    with reporting("renew the stamp of an entry", entry / MANIFEST):
        try:
            if is_plain_directory(entry):
                os.utime(entry / MANIFEST, follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            return
        except OSError as error:
            if error.errno != errno.EROFS:
                raise


def _tree_bytes(path: Path) -> int:
    """Bytes of all files below `path` (or of the file itself), without those that disappear."""
    try:
        if not is_plain_directory(path):
            return path.lstat().st_size
        with os.scandir(path) as found:
            return sum(
                _tree_bytes(Path(item.path))
                if item.is_dir(follow_symlinks=False)
                else item.stat(follow_symlinks=False).st_size
                for item in found
            )
    except FileNotFoundError:
        return 0


def scan(layout: Layout) -> list[Stored]:
    """Every entry, even a damaged one, but nothing foreign.

    Raises `CacheError` if a directory cannot be read.
    """
    with reporting("list the cache", layout.entries):
        return [
            Stored(entry, kind.name, entry.name, _tree_bytes(entry), last_used(entry))
            for kind in list_directory(layout.entries)
            if kind.is_dir()
            for prefix in list_directory(kind)
            if prefix.is_dir()
            for entry in list_directory(prefix)
            if is_entry_path(entry)
        ]


def _usage(paths: Iterable[Path]) -> Usage:
    return sum((Usage(1, _tree_bytes(path)) for path in paths), Usage())


def measure(layout: Layout) -> Stats:
    """The figures of `bench cache info`. Raises `CacheError` if something cannot be read."""
    kinds: dict[str, Usage] = {}
    for stored in scan(layout):
        kinds[stored.kind] = kinds.get(stored.kind, Usage()) + Usage(1, stored.bytes)
    with reporting("measure the cache", layout.base):
        return Stats(
            kinds=kinds,
            quarantine=_usage(list_directory(layout.quarantine)),
            temporaries=_usage(list_directory(layout.temporaries)),
        )
