"""Remove what killed processes left behind.

A temporary directory is made only under its key's lock, and its name contains the key's digest. So
a process that gets this lock knows that every temporary of this digest is dead: its owner would
still hold the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.cache.durable import list_directory, remove_tree
from bench.cache.faults import reporting
from bench.cache.layout import Layout, digest_of
from bench.cache.locks import KeyLocks
from bench.core.errors import CacheError

__all__ = ["SweepReport", "find_leftovers", "remove_dead", "sweep", "sweep_temporaries"]


@dataclass(frozen=True)
class SweepReport:
    """What a sweep did, or would do."""

    removed: tuple[Path, ...] = ()
    #: What should have been removed and could not be, with the reason.
    failed: tuple[tuple[Path, str], ...] = ()

    def __add__(self, other: SweepReport) -> SweepReport:
        return SweepReport(self.removed + other.removed, self.failed + other.failed)


def _remove(paths: list[Path]) -> SweepReport:
    removed: list[Path] = []
    failed: list[tuple[Path, str]] = []
    for path in paths:
        try:
            with reporting("remove a leftover", path):
                remove_tree(path)
        except CacheError as error:
            failed.append((path, str(error)))
        else:
            removed.append(path)
    return SweepReport(tuple(removed), tuple(failed))


def _only_name(paths: list[Path]) -> SweepReport:
    return SweepReport(tuple(paths))


def _by_digest(directory: Path) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    with reporting("list the leftovers", directory):
        for path in list_directory(directory):
            digest = digest_of(path)
            if digest is not None:
                groups.setdefault(digest, []).append(path)
    return groups


def remove_dead(layout: Layout, digest: str) -> SweepReport:
    """Remove all temporaries of `digest`. The caller holds its lock and has none in use."""
    return _remove(_by_digest(layout.temporaries).get(digest, []))


def _dead(
    directory: Path, locks: KeyLocks, act: Callable[[list[Path]], SweepReport]
) -> SweepReport:
    """Call `act` on what is dead in `directory`, key by key, under the key's lock."""
    report = SweepReport()
    for digest, paths in _by_digest(directory).items():
        try:
            with locks.try_hold(digest) as held:
                if held:
                    # List again: what was there before we had the lock may be gone or replaced.
                    report += act(_by_digest(directory).get(digest, []))
        except CacheError as error:
            report += SweepReport(failed=tuple((path, str(error)) for path in paths))
    return report


def sweep_temporaries(layout: Layout, locks: KeyLocks) -> SweepReport:
    """Remove every dead temporary. Those of running builds are left alone."""
    return _dead(layout.temporaries, locks, _remove)


def sweep(layout: Layout, locks: KeyLocks) -> SweepReport:
    """Remove every dead temporary, and every entry that was moved aside as damaged."""
    return sweep_temporaries(layout, locks) + _dead(layout.quarantine, locks, _remove)


def find_leftovers(layout: Layout, locks: KeyLocks) -> SweepReport:
    """What `sweep` would remove. Removes nothing."""
    places = (layout.temporaries, layout.quarantine)
    return sum((_dead(place, locks, _only_name) for place in places), SweepReport())
