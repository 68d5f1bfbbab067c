"""Make room: remove entries, least recently used first.

How removal and use keep out of each other's way. A finder takes no lock: it renews the entry's
stamp if that is older than an hour, *then* checks the files. The remover holds the key's lock
(so no builder is about), renames the entry away, *then* looks whether the stamp has changed,
and puts the entry back if so. Whichever comes first, a finder that was given an entry has a
stamp at most an hour old on it, and entries used within `spare` (a day) are not candidates:
whoever found an entry has `spare` minus one hour to use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from bench.cache.durable import make_directory, remove_tree
from bench.cache.faults import reporting
from bench.cache.layout import Layout
from bench.cache.locks import KeyLocks
from bench.cache.sweeping import SweepReport
from bench.cache.usage import Stored, Usage, last_used

__all__ = ["SPARE", "GcReport", "evict", "plan_eviction", "report"]

#: Entries used more recently than this are kept whatever the limits say.
SPARE = timedelta(days=1)


@dataclass(frozen=True)
class GcReport:
    """What `gc` removed, or would remove."""

    removed: tuple[Stored, ...]
    #: Wanted gone, kept because another process had the key in hand or has just used it.
    busy: tuple[Stored, ...]
    #: Entries left.
    kept: Usage
    #: Leftovers of killed processes and quarantined entries.
    swept: SweepReport

    @property
    def freed(self) -> int:
        """Bytes of the entries removed (leftovers not counted)."""
        return sum(stored.bytes for stored in self.removed)


def plan_eviction(
    stored: Sequence[Stored],
    *,
    now_ns: int,
    max_age: timedelta | None,
    max_bytes: int | None,
    spare: timedelta,
) -> list[Stored]:
    """The entries to remove, least recently used first. Pure.

    First all that are older than `max_age`; then as many more as it takes for the rest to
    fit in `max_bytes`. None sets no limit. What was used within `spare` stays, and counts.
    """
    oldest_first = sorted(stored, key=lambda item: (item.used_ns, item.digest))
    total = sum(item.bytes for item in stored)
    plan = []
    for item in oldest_first:
        age = timedelta(microseconds=(now_ns - item.used_ns) // 1000)
        too_old = max_age is not None and age > max_age
        too_much = max_bytes is not None and total > max_bytes
        if age >= spare and (too_old or too_much):
            plan.append(item)
            total -= item.bytes
    return plan


class _Outcome(Enum):
    REMOVED = auto()
    BUSY = auto()
    #: Another collector was faster; what it freed is in its report.
    GONE = auto()


def _remove(layout: Layout, locks: KeyLocks, item: Stored) -> _Outcome:
    """Remove one entry if it is not in use. Raises `CacheError` where removal fails."""
    temporary = layout.new_temporary(item.digest)
    with locks.try_hold(item.digest) as held, reporting("remove an entry", item.path):
        if not held:
            return _Outcome.BUSY
        make_directory(layout.temporaries)
        try:
            item.path.rename(temporary)
        except FileNotFoundError:
            return _Outcome.GONE
        if last_used(temporary) != item.used_ns:
            temporary.rename(item.path)
            return _Outcome.BUSY
        remove_tree(temporary)
    return _Outcome.REMOVED


def evict(
    layout: Layout, locks: KeyLocks, stored: Sequence[Stored], plan: Sequence[Stored]
) -> GcReport:
    """Carry out `plan`, made from `stored`. The report's `swept` is left empty."""
    outcomes = [(_remove(layout, locks, item), item) for item in plan]
    gone = {item for outcome, item in outcomes if outcome is _Outcome.GONE}
    return report(
        [item for item in stored if item not in gone],
        [item for outcome, item in outcomes if outcome is _Outcome.REMOVED],
        [item for outcome, item in outcomes if outcome is _Outcome.BUSY],
    )


def report(stored: Sequence[Stored], removed: Sequence[Stored], busy: Sequence[Stored]) -> GcReport:
    """The report of removing `removed` from `stored`."""
    gone = set(removed)
    kept = sum((Usage(1, item.bytes) for item in stored if item not in gone), Usage())
    return GcReport(tuple(removed), tuple(busy), kept, SweepReport())
