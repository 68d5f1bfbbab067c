"""The cache itself: find a product, or build it once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from bench.cache.building import Build, build_entry
from bench.cache.eviction import SPARE, GcReport, evict, plan_eviction, report
from bench.cache.faults import reporting
from bench.cache.inspection import Damage, check_contents, inspect_entry, move_aside
from bench.cache.journal import BuildEvent, read_events
from bench.cache.key import CacheKey
from bench.cache.layout import FILES, Layout
from bench.cache.locks import KeyLocks, OnWait
from bench.cache.manifest import Manifest
from bench.cache.sweeping import SweepReport, remove_dead, sweep_quarantine, sweep_temporaries
from bench.cache.usage import Stats, measure, scan, touch
from bench.cache.verification import Problem, ProblemKind, verify_cache
from bench.core.errors import CacheError

__all__ = ["ArtefactCache", "Entry"]


@dataclass(frozen=True)
class Entry:
    """A product in the cache. Its files are to be read, never changed."""

    #: The directory that holds the product's files.
    path: Path
    key: CacheKey
    manifest: Manifest
    #: Whether this call built it.
    built: bool

    def file(self, name: str) -> Path:
        """The path of a file the product consists of (POSIX name relative to `path`).

        Raises `CacheError` where the product has no such file.
        """
        names = [record.path for record in self.manifest.files]
        if name not in names:
            raise CacheError(
                f"cache: {self.key} at {self.path} has no file {name!r}, only {', '.join(names)}",
                cure="a product whose files change needs another key: add a version to it",
            )
        return self.path / name


@dataclass(frozen=True)
class ArtefactCache:
    """A cache beneath `root`, shared by any number of processes. Holds no state of its own.

    Nothing is created before the first build, so a cache may be looked at where it cannot be
    written. All methods raise `CacheError` (file, cause, cure) where the disk fails them.
    """

    root: Path
    #: Seconds between two reports while waiting for another process.
    report_every: float = 2.0

    @property
    def _layout(self) -> Layout:
        return Layout(self.root)

    @property
    def _locks(self) -> KeyLocks:
        return KeyLocks(self._layout, self.report_every)

    def find(self, key: CacheKey) -> Entry | None:
        """The product, if it is there and whole by a cheap look (manifest, files, sizes).

        Takes no lock. A damaged entry is moved aside, logged, and counts as absent.
        """
        path = self._layout.entry(key)
        touch(path)  # before the look: see `eviction`
        state = inspect_entry(path)
        if isinstance(state, Damage):
            with self._locks.try_hold(key.digest) as held:
                # Where another process has the key in hand it is dealing with the damage.
                state = self._settle(key) if held else None
        return None if state is None else self._entry(key, state, built=False)

    def get_or_build(self, key: CacheKey, build: Build, *, on_wait: OnWait | None = None) -> Entry:
        """The product, built by `build` if it is not there; built once however many ask.

        `build` gets an empty private directory and writes the product's files into it. It may
        ask the cache for other products, not for its own. What it raises passes through and
        nothing is stored, save that a full disk (`ENOSPC`, `EDQUOT`, `EFBIG`) becomes a
        `CacheError`. While another process builds the product, `on_wait` is told about every
        `report_every` seconds who that is; Ctrl-C ends the wait.
        """
        entry = self.find(key)
        if entry is not None:
            return entry
        with self._locks.hold(key.digest, on_wait):
            state = self._settle(key)
            if state is not None:
                return self._entry(key, state, built=False)
            # Best effort: what cannot be removed is harmless, and `verify` and `gc` say so.
            remove_dead(self._layout, key.digest)
            sweep_temporaries(self._layout, self._locks)
            manifest = build_entry(self._layout, key, build)
        return self._entry(key, manifest, built=True)

    def verify(self) -> list[Problem]:
        """Check every byte. An empty list means clean. Changes nothing."""
        return list(verify_cache(self._layout, self._locks))

    def repair(self, problems: Iterable[Problem]) -> tuple[Path, ...]:
        """Move the damaged entries among `problems` aside; where they went."""
        moved = []
        for problem in problems:
            if problem.kind is not ProblemKind.DAMAGED:
                continue
            with self._locks.hold(problem.path.name, None):
                state = check_contents(problem.path)  # it may have been built anew since
                if isinstance(state, Damage):
                    moved.append(move_aside(self._layout, problem.path, state))
        return tuple(moved)

    def sweep(self) -> SweepReport:
        """Remove leftovers of killed processes and quarantined entries."""
        temporaries = sweep_temporaries(self._layout, self._locks)
        return temporaries + sweep_quarantine(self._layout, self._locks)

    def stats(self) -> Stats:
        """Entries and bytes by kind, in quarantine and in temporaries."""
        return measure(self._layout)

    def journal(self) -> list[BuildEvent]:
        """The builds made in this cache, oldest first, as far as they were noted."""
        with reporting("read the journal", self._layout.journal):
            return read_events(self._layout.journal)

    def gc(
        self,
        max_age: timedelta | None = None,
        max_bytes: int | None = None,
        *,
        spare: timedelta = SPARE,
        dry_run: bool = False,
    ) -> GcReport:
        """Remove what was not used for `max_age`, then the least recently used beyond `max_bytes`.

        None sets no limit. Whatever was used within `spare` stays: somebody may be reading it.
        Leftovers and quarantined entries go in any case. With `dry_run` nothing is removed and
        the report says what would be (its `swept` stays empty).
        """
        stored = scan(self._layout)
        plan = plan_eviction(
            stored, now_ns=time.time_ns(), max_age=max_age, max_bytes=max_bytes, spare=spare
        )
        if dry_run:
            return report(stored, plan, [])
        swept = self.sweep()
        return replace(evict(self._layout, self._locks, stored, plan), swept=swept)

    def _settle(self, key: CacheKey) -> Manifest | None:
        """Under the key's lock: the manifest of a whole entry, or None with nothing in the way."""
        path = self._layout.entry(key)
        state = inspect_entry(path)
        if isinstance(state, Damage):
            move_aside(self._layout, path, state)
            return None
        return state

    def _entry(self, key: CacheKey, manifest: Manifest, *, built: bool) -> Entry:
        return Entry(self._layout.entry(key) / FILES, key, manifest, built)
