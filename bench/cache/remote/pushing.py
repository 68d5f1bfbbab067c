"""Upload the products of a cache to a store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from bench.cache.remote.store import RemoteStore
from bench.cache.store import Entry

__all__ = ["Pushed", "push"]


@dataclass(frozen=True)
class Pushed:
    """What was uploaded, and what was there before."""

    sent: int = 0
    bytes: int = 0
    there: int = 0


def push(
    entries: Iterable[Entry],
    store: RemoteStore,
    *,
    without: Collection[str],
    heard: Callable[[Entry], None],
) -> Pushed:
    """Upload `entries` (intact), but for the kinds `without`. `heard` is told of each one sent.

    Raises `UnreachableError` if the store does not take one; what was sent stays there.
    """
    done = Pushed()
    for entry in entries:
        if entry.key.kind in without:
            continue
        if store.has(entry.key):
            done = Pushed(done.sent, done.bytes, done.there + 1)
            continue
        files = {record: entry.file(record.path) for record in entry.manifest.files}
        store.upload(entry.key, entry.manifest.to_json(), files)
        done = Pushed(done.sent + 1, done.bytes + entry.manifest.size, done.there)
        heard(entry)
    return done
