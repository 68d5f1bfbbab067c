"""Check that the cache is what it claims to be. Reads everything, changes nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bench.cache.durable import list_directory
from bench.cache.faults import reporting
from bench.cache.inspection import CheckedFiles, Damage, check_entry
from bench.cache.key import KIND_PATTERN
from bench.cache.layout import FILES, MANIFEST, Layout, digest_of, is_entry_path
from bench.cache.locks import KeyLocks
from bench.cache.manifest import Manifest
from bench.cache.plain_files import is_plain_directory, walk
from bench.core.errors import CacheError
from bench.core.text import one_line

__all__ = ["Problem", "ProblemKind", "verify_cache"]

_LEFTOVER = "left by a killed process; harmless, removed by the next build or `bench cache gc`"
_LOCK_FILE = re.compile(r"[0-9a-f]{64}\.(lock|holder)")


class ProblemKind(str, Enum):
    """The kind of problem, which decides the cure."""

    #: Left by a killed process. Harmless: never read, removed by the next build or by gc.
    LEFTOVER = "leftover"
    #: A damaged entry that was already moved aside. Harmless: never read, removed by gc.
    QUARANTINED = "quarantined"
    #: An entry that is not what its manifest says. The next use repairs it, gc removes it.
    DAMAGED = "damaged"
    #: Something that this user cannot read, so nothing is known about it.
    UNREADABLE = "unreadable"
    #: Something that the cache did not put there; the cache leaves it alone.
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Problem:
    """One finding of `verify`."""

    kind: ProblemKind
    path: Path
    detail: str

    @property
    def harmless(self) -> bool:
        """Whether nothing is wrong, because the cache has set it aside and will remove it."""
        return self.kind in (ProblemKind.LEFTOVER, ProblemKind.QUARANTINED)

    def __str__(self) -> str:
        return one_line(f"{self.kind.value}: {self.path}: {self.detail}")


def _foreign(path: Path, where: str) -> Problem:
    return Problem(ProblemKind.FOREIGN, path, f"not made by the cache, {where}")


def _extra_files(entry: Path, manifest: Manifest) -> Iterator[Problem]:
    listed = {record.path for record in manifest.files}
    for path in list_directory(entry):
        if path.name not in (MANIFEST, FILES):
            yield _foreign(path, "in an entry")
    for path in walk(entry / FILES):
        name = path.relative_to(entry / FILES).as_posix()
        if name not in listed and not is_plain_directory(path):
            yield _foreign(path, "in an entry and not in its manifest")


def _entry(entry: Path) -> Iterator[Problem]:
    # Without a lock, so that a read-only cache can be verified. An entry that is being removed
    # (renamed away) looks damaged for a moment, so damage counts only if it is seen twice.
    try:
        state = check_entry(entry, CheckedFiles())
        if isinstance(state, Damage):
            state = check_entry(entry, CheckedFiles())
    except CacheError as error:
        yield Problem(ProblemKind.UNREADABLE, entry, error.what)
        return
    if isinstance(state, Damage):
        yield Problem(ProblemKind.DAMAGED, entry, state.reason)
    elif isinstance(state, Manifest):
        with suppress(FileNotFoundError):  # removed since
            yield from _extra_files(entry, state)


def _entries(layout: Layout) -> Iterator[Problem]:
    for kind in list_directory(layout.entries):
        if not kind.is_dir() or KIND_PATTERN.fullmatch(kind.name) is None:
            yield _foreign(kind, "among the kinds")
            continue
        for prefix in list_directory(kind):
            if not prefix.is_dir():
                yield _foreign(prefix, "among the entries")
                continue
            for entry in list_directory(prefix):
                if is_entry_path(entry):
                    yield from _entry(entry)
                else:
                    yield _foreign(entry, "among the entries")


def _temporaries(layout: Layout, locks: KeyLocks) -> Iterator[Problem]:
    for path in list_directory(layout.temporaries):
        digest = digest_of(path)
        if digest is None:
            yield _foreign(path, "among the temporaries")
            continue
        try:
            with locks.try_hold(digest) as held:
                # If it is still there under its lock, it is dead.
                dead = held and os.path.lexists(path)
        except CacheError as error:
            yield Problem(ProblemKind.UNREADABLE, path, f"running or dead: {error.what}")
            continue
        if dead:
            yield Problem(ProblemKind.LEFTOVER, path, _LEFTOVER)


def _quarantine(layout: Layout) -> Iterator[Problem]:
    for path in list_directory(layout.quarantine):
        if digest_of(path) is None:
            yield _foreign(path, "in the quarantine")
        else:
            yield Problem(
                ProblemKind.QUARANTINED,
                path,
                "a damaged entry moved aside; harmless, removed by `bench cache gc`",
            )


def _top(layout: Layout) -> Iterator[Problem]:
    known = {
        layout.entries,
        layout.locks,
        layout.temporaries,
        layout.quarantine,
    }
    for path in list_directory(layout.base):
        if path not in known:
            yield _foreign(path, "in the cache's directory")
    for path in list_directory(layout.locks):
        if _LOCK_FILE.fullmatch(path.name) is None:
            yield _foreign(path, "among the locks")


def verify_cache(layout: Layout, locks: KeyLocks) -> Iterator[Problem]:
    """All problems. Raises `CacheError` if a directory cannot be read."""
    with reporting("verify the cache", layout.base):
        yield from _top(layout)
        yield from _entries(layout)
        yield from _temporaries(layout, locks)
        yield from _quarantine(layout)
