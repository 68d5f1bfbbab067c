"""Make room: which entries are removed, least recently used first, and how one is removed.

Removal and use do not disturb each other. A finder takes no lock: it renews the entry's stamp if
that is older than an hour, and *then* checks the files. The remover holds the key's lock (so there
is no builder), renames the entry away, *then* checks whether the stamp has changed, and if so puts
the entry back. Whichever comes first, the stamp of an entry that was found is at most an hour old,
and entries used within `spare` (a day) are not removed. So the finder has `spare` minus one hour to
use the entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import Enum, auto

from bench.cache.durable import make_directory, remove_tree
from bench.cache.faults import reporting
from bench.cache.inspection import CheckedFiles, Damage, check_entry
from bench.cache.layout import Layout
from bench.cache.locks import KeyLocks
from bench.cache.usage import Stored, last_used

__all__ = ["SPARE", "Outcome", "plan_eviction", "remove_damaged", "remove_unused"]

#: Entries used more recently than this are always kept.
SPARE = timedelta(days=1)


class Outcome(Enum):
    """What happened to an entry that should be removed."""

    REMOVED = auto()
    #: Another process holds the key, or has just used or repaired the entry.
    BUSY = auto()
    #: Another collector was faster, and counts it in its report.
    GONE = auto()


def _nanoseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1) * 1000


def plan_eviction(
    stored: Sequence[Stored],
    *,
    now_ns: int,
    max_age: timedelta | None,
    max_bytes: int | None,
    spare: timedelta,
) -> list[Stored]:
    """The entries to remove, least recently used first. Pure.

    First all that are older than `max_age`, then as many more as necessary for the rest to fit into
    `max_bytes`. None means no limit. What was used within `spare` stays, and counts.
    """
    oldest_first = sorted(stored, key=lambda item: (item.used_ns, item.digest))
    total = sum(item.bytes for item in stored)
    plan = []
    for item in oldest_first:
        # Integers, since a stamp may be further away than a timedelta can say.
        age = now_ns - item.used_ns
        too_old = max_age is not None and age > _nanoseconds(max_age)
        too_much = max_bytes is not None and total > max_bytes
        if age >= _nanoseconds(spare) and (too_old or too_much):
            plan.append(item)
            total -= item.bytes
    return plan


def remove_damaged(layout: Layout, locks: KeyLocks, item: Stored) -> Outcome:
    """Remove one entry if it is still damaged. Raises `CacheError` if removal fails.

    It is removed in place, which needs no space on a full disk; half of a damaged entry is as
    unusable as all of it.
    """
    with locks.try_hold(item.digest) as held:
        # No lock: the process that has it deals with the damage.
        state = check_entry(item.path, CheckedFiles()) if held else None
        if isinstance(state, Damage):
            with reporting("remove a damaged entry", item.path):
                remove_tree(item.path)
            return Outcome.REMOVED
        return Outcome.GONE if held and state is None else Outcome.BUSY


def remove_unused(layout: Layout, locks: KeyLocks, item: Stored) -> Outcome:
    """Remove one entry if it is not in use. Raises `CacheError` if removal fails."""
    temporary = layout.new_temporary(item.digest)
    with locks.try_hold(item.digest) as held, reporting("remove an entry", item.path):
        if not held:
            return Outcome.BUSY
        make_directory(layout.temporaries)
        try:
            item.path.rename(temporary)
        except FileNotFoundError:
            return Outcome.GONE
        if last_used(temporary) != item.used_ns:
            temporary.rename(item.path)
            return Outcome.BUSY
        remove_tree(temporary)
    return Outcome.REMOVED
