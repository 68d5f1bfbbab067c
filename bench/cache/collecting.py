"""Tidy a cache: remove leftovers and damaged entries, then what is old or too much."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from bench.cache.eviction import Outcome, plan_eviction, remove_damaged, remove_unused
from bench.cache.inspection import CheckedFiles, Damage, check_entry
from bench.cache.layout import Layout
from bench.cache.locks import KeyLocks
from bench.cache.sweeping import SweepReport, find_leftovers, sweep
from bench.cache.usage import Stored, Usage, is_from_the_future, last_used, scan, touch
from bench.core.errors import CacheError
from bench.core.logging import logger

__all__ = ["GcReport", "Limits", "collect", "preview"]

_LOG = logger(__name__)


@dataclass(frozen=True)
class Limits:
    """What may stay. None means no limit; what was used within `spare` always stays."""

    max_age: timedelta | None
    max_bytes: int | None
    spare: timedelta


@dataclass(frozen=True)
class GcReport:
    """What `gc` removed, or would remove."""

    #: Entries that were not used for too long, or are too much.
    removed: tuple[Stored, ...]
    #: Entries removed because they are not what their manifests say.
    damaged: tuple[Stored, ...]
    #: Entries kept although they should go, because another process holds the key or just used it.
    busy: tuple[Stored, ...]
    #: Entries left.
    kept: Usage
    #: Leftovers of killed processes and quarantined entries.
    swept: SweepReport
    #: Entries that could not be checked or removed, with the reason. They stay.
    failed: tuple[tuple[Path, str], ...]

    @property
    def freed(self) -> int:
        """Bytes of the removed entries (without leftovers)."""
        return sum(item.bytes for item in self.removed + self.damaged)


@dataclass
class _Attempts:
    """What was not removed, and why. A failing entry (perhaps of another user) stops no other."""

    busy: list[Stored] = field(default_factory=list)
    gone: list[Stored] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)

    def damaged_among(self, items: Iterable[Stored]) -> tuple[Stored, ...]:
        """Those of `items` that are not what their manifests say. Reads every byte."""
        found = []
        for item in items:
            try:
                state = check_entry(item.path, CheckedFiles())
            except CacheError as error:
                self.failed.append((item.path, str(error)))
                continue
            if isinstance(state, Damage):
                found.append(item)
        return tuple(found)

    def remove(
        self, items: Iterable[Stored], one: Callable[[Stored], Outcome]
    ) -> tuple[Stored, ...]:
        """Remove each of `items` with `one`. Returns those that were removed."""
        removed: list[Stored] = []
        for item in items:
            try:
                outcome = one(item)
            except CacheError as error:
                self.failed.append((item.path, str(error)))
                continue
            _LOG.info("cache: %s: %s", item.path, outcome.name.lower())
            kept = {Outcome.REMOVED: removed, Outcome.BUSY: self.busy, Outcome.GONE: self.gone}
            kept[outcome].append(item)
        return tuple(removed)


def _without(items: Iterable[Stored], others: Collection[Stored]) -> list[Stored]:
    return [item for item in items if item not in others]


def _usage(items: Iterable[Stored]) -> Usage:
    return sum((Usage(1, item.bytes) for item in items), Usage())


def _too_much(items: Iterable[Stored], limits: Limits) -> list[Stored]:
    return plan_eviction(
        list(items),
        now_ns=time.time_ns(),
        max_age=limits.max_age,
        max_bytes=limits.max_bytes,
        spare=limits.spare,
    )


def _restamped(item: Stored) -> Stored:
    """Set a stamp in the future to now, so that the entry grows old like any other."""
    if not is_from_the_future(item.used_ns, time.time_ns()):
        return item
    touch(item.path)
    return replace(item, used_ns=last_used(item.path))


def preview(layout: Layout, locks: KeyLocks, limits: Limits) -> GcReport:
    """What `collect` would do now. Removes nothing."""
    attempts = _Attempts()
    stored = scan(layout)
    damaged = attempts.damaged_among(stored)
    sound = _without(stored, damaged)
    removed = _too_much(sound, limits)
    return GcReport(
        removed=tuple(removed),
        damaged=damaged,
        busy=(),
        kept=_usage(_without(sound, removed)),
        swept=find_leftovers(layout, locks),
        failed=tuple(attempts.failed),
    )


def collect(layout: Layout, locks: KeyLocks, limits: Limits) -> GcReport:
    """Remove leftovers, damaged entries, and what `limits` do not allow to stay."""
    attempts = _Attempts()
    swept = sweep(layout, locks)
    stored = scan(layout)
    damaged = attempts.remove(
        attempts.damaged_among(stored), lambda item: remove_damaged(layout, locks, item)
    )
    left = [_restamped(item) for item in _without(stored, {*damaged, *attempts.gone})]
    # If another process holds a damaged entry, that process repairs it.
    removed = attempts.remove(
        _too_much(left, limits), lambda item: remove_unused(layout, locks, item)
    )
    return GcReport(
        removed=removed,
        damaged=damaged,
        busy=tuple(attempts.busy),
        kept=_usage(_without(left, {*removed, *attempts.gone})),
        swept=swept,
        failed=tuple(attempts.failed),
    )
