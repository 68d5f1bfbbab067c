"""Products on their way between machines. They are checked by hash wherever they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.cache import ArtefactCache, CacheKey, Entry, FileRecord, RemoteError
from bench.cache.manifest import parse_manifest
from bench.measuring.products import NOT_SHARED

__all__ = ["NotingCache", "Parcel", "accept_all", "packed", "unshared"]

#: Data sets, which every machine makes from the same files: they are large.
_MADE_EVERYWHERE = frozenset({"splits", "network", "fitted"})


@dataclass(frozen=True)
class Parcel:
    """A product: its manifest as on a disk, and its files by their names in the entry."""

    manifest: bytes
    files: Mapping[str, bytes]

    @property
    def key(self) -> CacheKey:
        """The key that it claims. Raises `RemoteError` for a parcel that is damaged."""
        try:
            return parse_manifest(self.manifest).key
        except ValueError as error:
            raise RemoteError(f"a parcel has no manifest: {error}") from error

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.manifest) + sum(map(len, self.files.values()))


@dataclass(frozen=True)
class _Contents:
    """A `Source` with one product."""

    parcel: Parcel

    def manifest(self, key: CacheKey) -> bytes | None:
        return self.parcel.manifest

    def pieces(self, record: FileRecord) -> Iterator[bytes]:
        content = self.parcel.files.get(record.path)
        if content is None:
            raise RemoteError(f"a parcel has no {record.path!r}")
        yield content


def packed(entry: Entry) -> Parcel:
    """The product of an entry. Raises `OSError` if it was removed since."""
    files = {name: entry.file(name).read_bytes() for name in entry.names}
    return Parcel(entry.manifest.to_json(), files)


def accept_all(cache: ArtefactCache, parcels: Iterable[Parcel]) -> list[Entry]:
    """The products, now in `cache`. Raises `RemoteError` for one that is damaged."""
    return [cache.accept(parcel.key, _Contents(parcel)) for parcel in parcels]


def unshared(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Those of `entries` that other machines should get."""
    return (entry for entry in entries if entry.key.kind not in NOT_SHARED | _MADE_EVERYWHERE)


@dataclass(frozen=True)
class NotingCache(ArtefactCache):
    """A cache that notes what was taken from it."""

    #: By digest.
    noted: dict[str, Entry] = field(default_factory=dict, repr=False, compare=False)

    def get_or_build(self, *arguments: Any, **options: Any) -> Entry:
        """See `ArtefactCache`."""
        entry = super().get_or_build(*arguments, **options)
        self.noted[entry.key.digest] = entry
        return entry

    def fetch(self, key: CacheKey) -> Entry | None:
        """See `ArtefactCache`."""
        entry = super().fetch(key)
        if entry is not None:
            self.noted[key.digest] = entry
        return entry
