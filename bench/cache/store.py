"""The cache itself: find a product, or build it once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from bench.cache.building import Build, build_entry
from bench.cache.collecting import GcReport, Limits, collect, preview
from bench.cache.eviction import SPARE
from bench.cache.faults import reporting
from bench.cache.inspection import CheckedFiles, Damage, check_entry, move_aside
from bench.cache.key import CacheKey
from bench.cache.layout import FILES, Layout
from bench.cache.locks import KeyLocks, LockError, OnWait
from bench.cache.lookup import manifests_with
from bench.cache.manifest import Manifest
from bench.cache.remote.reading_through import RemoteCache
from bench.cache.remote.receiving import receive
from bench.cache.remote.source import RemoteError, Source
from bench.cache.sweeping import remove_dead, sweep_temporaries
from bench.cache.usage import Stats, measure, scan, touch
from bench.cache.verification import Problem, verify_cache
from bench.core.errors import CacheError

__all__ = ["ArtefactCache", "Entry"]


@dataclass(frozen=True)
class Entry:
    """A product in the cache. Its files may be read, never changed."""

    #: The directory that holds the product's files.
    path: Path
    key: CacheKey
    manifest: Manifest
    #: Whether this call built it.
    built: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The product's files (POSIX names relative to `path`)."""
        return tuple(record.path for record in self.manifest.files)

    def file(self, name: str) -> Path:
        """The path of one of the product's files (POSIX name relative to `path`).

        Raises `CacheError` if the product has no such file.
        """
        if name not in self.names:
            raise CacheError(
                f"cache: {self.key} at {self.path} has no file {name!r}, "
                f"only {', '.join(self.names)}",
                cure="a product whose files change needs another key: add a version to it",
            )
        return self.path / name


@dataclass(frozen=True)
class ArtefactCache:
    """A cache below `root`, shared by any number of processes.

    It remembers only which large files it has read and found intact. It creates nothing before the
    first build, so a cache can be examined where it cannot be written. All methods raise
    `CacheError` (file, cause, cure) if the disk fails.
    """

    root: Path
    #: Seconds between two reports while waiting for another process.
    report_every: float = 2.0
    #: Where else products may be found; None for nowhere.
    remote: RemoteCache | None = field(default=None, repr=False, compare=False)
    _checked: CheckedFiles = field(
        default_factory=CheckedFiles, init=False, repr=False, compare=False
    )

    @property
    def _layout(self) -> Layout:
        return Layout(self.root)

    @property
    def _locks(self) -> KeyLocks:
        return KeyLocks(self._layout, self.report_every)

    def find(self, key: CacheKey) -> Entry | None:
        """The product, if it is there and intact, to the byte.

        It takes no lock. A damaged entry is moved aside, logged, and counts as absent. A file of
        more than `LARGE_BYTES` is read once, and again when the file system shows a change.
        """
        path = self._layout.entry(key)
        touch(path)  # before the check: see `eviction`
        state = check_entry(path, self._checked)
        if isinstance(state, Damage):
            state = self._mend(key, state)
        return None if state is None else self._entry(key, state, built=False)

    def fetch(self, key: CacheKey) -> Entry | None:
        """The product, if it is here or can be had from the remote cache, and is intact.

        What comes from there is kept here. While another process makes the product, this waits.
        """
        entry = self.find(key)
        if entry is not None or self.remote is None or not self.remote.may_have(key):
            return entry
        with self._locks.hold(key.digest, None):
            manifest = self._settle(key) or self._received(key)
        return None if manifest is None else self._entry(key, manifest, built=False)

    def find_with(self, kind: str, sha256: str) -> Entry | None:
        """A product of `kind` with a file of this sha256, whatever made it; None if there is none.

        Every manifest of that kind is read, which takes about a second for 10,000 of them.
        """
        for manifest in manifests_with(self._layout, kind, sha256):
            entry = self.find(manifest.key)
            if entry is not None:
                return entry
        return None

    def get_or_build(self, key: CacheKey, build: Build, *, on_wait: OnWait | None = None) -> Entry:
        """The product, built by `build` if it is not there; built once, however many ask for it.

        A remote cache is asked before anything is built.

        `build` gets an empty private directory and writes the product's files into it. It may ask
        the cache for other products, but not for its own. What it raises is passed on and nothing
        is stored; only a full disk (`ENOSPC`, `EDQUOT`, `EFBIG`) becomes a `CacheError`. While
        another process builds the product, `on_wait` gets about every `report_every` seconds who
        that is; Ctrl-C ends the wait.
        """
        entry = self.find(key)
        if entry is not None:
            return entry
        with self._locks.hold(key.digest, on_wait):
            state = self._settle(key)
            if state is not None:
                return self._entry(key, state, built=False)
            # Best effort: what cannot be removed is harmless, and `verify` and `gc` report it.
            remove_dead(self._layout, key.digest)
            sweep_temporaries(self._layout, self._locks)
            received = self._received(key)
            if received is not None:
                return self._entry(key, received, built=False)
            manifest = build_entry(self._layout, key, build)
        return self._entry(key, manifest, built=True)

    def accept(self, key: CacheKey, source: Source) -> Entry:
        """The product, taken from `source` if it is not here; not a byte of it is trusted.

        Raises `RemoteError` if `source` has not got it, or gives something else.
        """
        entry = self.find(key)
        if entry is not None:
            return entry
        with self._locks.hold(key.digest, None):
            manifest = self._settle(key) or receive(self._layout, key, source)
        if manifest is None:
            raise RemoteError(f"{key} was not given")
        return self._entry(key, manifest, built=False)

    def intact(self) -> Iterator[Entry]:
        """Every entry, in the order of kinds and digests, checked to the byte.

        Damaged entries are left out; nothing is changed. Raises `CacheError` if there is no cache.
        """
        self._require()
        for stored in scan(self._layout):
            state = check_entry(stored.path, self._checked)
            if isinstance(state, Manifest):
                yield self._entry(state.key, state, built=False)

    def entry_of(self, path: Path) -> Entry | None:
        """The entry that the file or directory at `path` belongs to, if it is intact."""
        entries = self._layout.entries
        parts = path.relative_to(entries).parts if path.is_relative_to(entries) else ()
        if len(parts) < 3:
            return None
        state = check_entry(entries.joinpath(*parts[:3]), self._checked)
        return self._entry(state.key, state, built=False) if isinstance(state, Manifest) else None

    def exists(self) -> bool:
        """Whether there is a cache of this format below `root`."""
        with reporting("look for the cache", self.root):
            return self._layout.base.is_dir()

    def verify(self) -> list[Problem]:
        """Check every byte. An empty list means clean. Changes nothing.

        Raises `CacheError` if there is no cache: nothing is not the same as clean.
        """
        self._require()
        return list(verify_cache(self._layout, self._locks))

    def stats(self) -> Stats:
        """Entries and bytes by kind, in quarantine and in temporaries.

        Raises `CacheError` if there is no cache.
        """
        self._require()
        return measure(self._layout)

    def gc(
        self,
        max_age: timedelta | None = None,
        max_bytes: int | None = None,
        *,
        spare: timedelta = SPARE,
        dry_run: bool = False,
    ) -> GcReport:
        """Remove what was not used for `max_age`, then the least recently used beyond `max_bytes`.

        None means no limit. What was used within `spare` stays, because somebody may be reading it.
        Leftovers, quarantined and damaged entries are always removed; to find these, every byte is
        read. With `dry_run` nothing is removed, and the report says what would be.
        """
        limits = Limits(max_age, max_bytes, spare)
        return (preview if dry_run else collect)(self._layout, self._locks, limits)

    def _require(self) -> None:
        if not self.exists():
            raise CacheError(
                f"cache: there is none at {self.root}",
                cure="name its directory (--cache or BENCH_CACHE); the first run makes it",
            )

    def _mend(self, key: CacheKey, damage: Damage) -> Manifest | None:
        """Move a damaged entry aside. Returns the manifest of an intact replacement, if any."""
        try:
            with self._locks.try_hold(key.digest) as held:
                # If another process holds the key, it deals with the damage.
                return self._settle(key) if held else None
        except LockError as error:
            raise CacheError(
                f"{error.what}; {key} is damaged ({damage.reason}) and must be built again",
                cure=error.cure,
            ) from error

    def _settle(self, key: CacheKey) -> Manifest | None:
        """The manifest of an intact entry, or None with nothing in the way. Needs the lock."""
        path = self._layout.entry(key)
        state = check_entry(path, self._checked)
        if isinstance(state, Damage):
            move_aside(self._layout, path, state)
            return None
        return state

    def _received(self, key: CacheKey) -> Manifest | None:
        """The product from the remote cache, kept here. The caller holds the key's lock."""
        return None if self.remote is None else self.remote.receive(self._layout, key)

    def _entry(self, key: CacheKey, manifest: Manifest, *, built: bool) -> Entry:
        return Entry(self._layout.entry(key) / FILES, key, manifest, built)
