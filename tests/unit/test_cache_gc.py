"""Making room: who goes first, who stays, what is reported."""

from __future__ import annotations

import errno
import os
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from bench.cache import ArtefactCache, CacheKey, Entry
from bench.cache.eviction import plan_eviction
from bench.cache.usage import Stored

DAY = 86_400.0


@pytest.fixture
def cache(tmp_path: Path) -> ArtefactCache:
    return ArtefactCache(tmp_path / "cache")


def put(cache: ArtefactCache, name: str, *, days_ago: float, kind: str = "variant") -> Entry:
    """An entry with 1000 bytes of product, last used `days_ago`."""
    entry = cache.get_or_build(
        CacheKey(kind, {"name": name}), lambda path: _write(path / "x", 1000)
    )
    age(entry, days_ago)
    return entry


def _write(path: Path, size: int) -> None:
    path.write_bytes(b"x" * size)


def stamp_of(entry: Entry) -> float:
    return (entry.path.parent / "manifest.json").stat().st_mtime


def age(entry: Entry, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(entry.path.parent / "manifest.json", (then, then))


def test_least_recently_used_go_first_until_the_rest_fits(cache: ArtefactCache) -> None:
    ages = {"c": 5, "a": 30, "d": 2, "b": 10}
    entries = {name: put(cache, name, days_ago=days) for name, days in ages.items()}
    each = cache.stats().total.bytes // 4
    report = cache.gc(max_bytes=2 * each + each // 2)
    assert [item.digest for item in report.removed] == [entries[n].key.digest for n in "ab"]
    assert report.freed + report.kept.bytes == pytest.approx(4 * each, abs=4)
    assert report.kept == cache.stats().total
    assert [name for name in ages if cache.find(entries[name].key)] == ["c", "d"]
    assert cache.verify() == []


def test_max_age_counts_from_the_last_use_not_from_the_build(cache: ArtefactCache) -> None:
    used, unused = put(cache, "used", days_ago=30), put(cache, "unused", days_ago=30)
    assert cache.find(used.key) is not None
    report = cache.gc(max_age=timedelta(days=7))
    assert [item.digest for item in report.removed] == [unused.key.digest]
    assert cache.find(used.key) is not None
    assert cache.find(unused.key) is None


def test_finding_often_writes_the_stamp_once(cache: ArtefactCache) -> None:
    entry = put(cache, "x", days_ago=3)
    manifest = entry.path.parent / "manifest.json"
    assert cache.find(entry.key) is not None
    first = manifest.stat().st_mtime_ns
    assert cache.find(entry.key) is not None
    assert manifest.stat().st_mtime_ns == first
    assert time.time() - first / 1e9 < 60


def test_recently_used_entries_stay_unless_asked_for(cache: ArtefactCache) -> None:
    entry = put(cache, "fresh", days_ago=0.5)
    assert cache.gc(max_age=timedelta(0), max_bytes=0).removed == ()
    assert cache.find(entry.key) is not None
    assert len(cache.gc(max_bytes=0, spare=timedelta(0)).removed) == 1
    assert cache.find(entry.key) is None


def test_no_limit_removes_no_entry(cache: ArtefactCache) -> None:
    put(cache, "ancient", days_ago=1000)
    assert cache.gc().removed == ()
    assert cache.stats().total.entries == 1


def test_dry_run_says_what_would_go_and_touches_nothing(cache: ArtefactCache) -> None:
    entry = put(cache, "old", days_ago=30)
    put(cache, "new", days_ago=2)
    (entry.path / "x").unlink()
    assert cache.find(entry.key) is None  # now quarantined
    old = put(cache, "old", days_ago=30)
    before = sorted(cache.root.rglob("*"))
    planned = cache.gc(max_age=timedelta(days=7), dry_run=True)
    assert sorted(cache.root.rglob("*")) == before
    done = cache.gc(max_age=timedelta(days=7))
    assert planned.removed == done.removed
    assert planned.kept == done.kept
    assert [item.digest for item in done.removed] == [old.key.digest]
    assert planned.swept == done.swept
    assert len(done.swept.removed) == 1
    assert cache.verify() == []


def test_entry_whose_key_is_in_hand_is_skipped(cache: ArtefactCache) -> None:
    busy, idle = put(cache, "busy", days_ago=30), put(cache, "idle", days_ago=20)
    with FileLock(cache.root / "v2" / "locks" / f"{busy.key.digest}.lock"):
        report = cache.gc(max_bytes=0)
    assert [item.digest for item in report.busy] == [busy.key.digest]
    assert [item.digest for item in report.removed] == [idle.key.digest]
    assert cache.find(busy.key) is not None


def test_entry_used_between_plan_and_removal_is_put_back(
    cache: ArtefactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finder takes no lock; here it comes in at the worst moment, just before the rename."""
    entry = put(cache, "wanted", days_ago=30)
    rename = Path.rename
    found: list[Entry | None] = []

    def rename_after_a_find(path: Path, target: Path) -> Path:
        if path == entry.path.parent and not found:
            found.append(cache.find(entry.key))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_after_a_find)
    report = cache.gc(max_age=timedelta(days=7))
    assert found
    assert found[0] is not None
    assert found[0].file("x").read_bytes() == b"x" * 1000
    assert report.removed == ()
    assert len(report.busy) == 1
    assert cache.verify() == []


@pytest.mark.parametrize("name", ["manifest.json", "files/x"])
@pytest.mark.parametrize("limit", [{}, {"max_age": timedelta(days=100)}, {"max_bytes": 10**9}])
def test_damaged_entries_go_in_any_case(
    cache: ArtefactCache, name: str, limit: dict[str, Any]
) -> None:
    damaged = put(cache, "damaged", days_ago=0)
    whole = put(cache, "whole", days_ago=5)
    path = damaged.path.parent / name
    path.write_bytes(path.read_bytes().replace(b"x", b"y"))
    planned = cache.gc(**limit, dry_run=True)
    assert path.exists()
    report = cache.gc(**limit)
    assert report == planned
    assert [item.digest for item in report.damaged] == [damaged.key.digest]
    assert report.removed == ()
    assert report.freed == report.damaged[0].bytes > 1000
    assert report.kept.entries == 1
    assert cache.find(whole.key) is not None
    assert cache.verify() == []


def test_a_damaged_entry_is_no_reason_for_a_sound_one_to_go(cache: ArtefactCache) -> None:
    """It goes in any case, and so makes the room itself."""
    damaged = put(cache, "damaged", days_ago=2)
    put(cache, "whole", days_ago=5)
    _write(damaged.path / "x", 5000)
    report = cache.gc(max_bytes=3000)
    assert [item.digest for item in report.damaged] == [damaged.key.digest]
    assert report.removed == ()


def test_damaged_entry_in_hand_is_left_to_who_mends_it(cache: ArtefactCache) -> None:
    damaged = put(cache, "damaged", days_ago=30)
    (damaged.path / "x").unlink()
    with FileLock(cache.root / "v2" / "locks" / f"{damaged.key.digest}.lock"):
        report = cache.gc()
    assert [item.digest for item in report.busy] == [damaged.key.digest]
    assert report.damaged == ()
    assert len(cache.gc().damaged) == 1


def test_one_entry_that_cannot_go_does_not_keep_the_others(
    cache: ArtefactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shared cache it may be somebody else's."""
    stuck, other = put(cache, "stuck", days_ago=30), put(cache, "other", days_ago=20)
    bad, mended = put(cache, "bad", days_ago=0), put(cache, "mended", days_ago=0)
    for entry in (bad, mended):
        (entry.path / "x").unlink()
    rename, remove = Path.rename, shutil.rmtree

    def refuse(path: Path, *rest: Any, **named: Any) -> Any:
        if path in (stuck.path.parent, bad.path.parent):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return (rename if rest else remove)(path, *rest, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        patched.setattr(shutil, "rmtree", refuse)
        report = cache.gc(max_bytes=0)
    assert [item.digest for item in report.removed] == [other.key.digest]
    assert [item.digest for item in report.damaged] == [mended.key.digest]
    assert {path for path, _ in report.failed} == {stuck.path.parent, bad.path.parent}
    assert all("Permission denied" in reason for _, reason in report.failed)
    assert report.kept.entries == 2


@pytest.mark.parametrize("days", [2, 10**4, 10**7])
def test_a_stamp_of_the_future_does_not_keep_an_entry_for_ever(
    cache: ArtefactCache, days: int
) -> None:
    """As a clock leaves it that was wrong once. From the first gc on the entry grows old."""
    entry = put(cache, "x", days_ago=-days)
    assert cache.gc(max_age=timedelta(days=7), dry_run=True).removed == ()
    assert stamp_of(entry) > time.time() + DAY
    assert cache.gc(max_age=timedelta(days=7), max_bytes=0).removed == ()  # it may be in use
    assert abs(stamp_of(entry) - time.time()) < 60
    age(entry, 8)
    assert len(cache.gc(max_age=timedelta(days=7)).removed) == 1


def test_finding_sets_a_stamp_of_the_future_right(cache: ArtefactCache) -> None:
    entry = put(cache, "x", days_ago=-1)
    assert cache.find(entry.key) is not None
    assert abs(stamp_of(entry) - time.time()) < 60


def test_clocks_of_two_hosts_may_differ_a_little(cache: ArtefactCache) -> None:
    """No reason to write to the disk of a host whose clock is ahead."""
    entry = put(cache, "x", days_ago=-0.01)
    before = stamp_of(entry)
    assert cache.find(entry.key) is not None
    cache.gc(max_age=timedelta(days=7))
    assert stamp_of(entry) == before


def test_a_stamp_is_not_set_where_a_link_leads(cache: ArtefactCache, tmp_path: Path) -> None:
    entry = put(cache, "x", days_ago=0)
    theirs = tmp_path / "theirs"
    theirs.write_text("", encoding="utf-8")
    os.utime(theirs, (5, 5))
    (entry.path.parent / "manifest.json").unlink()
    (entry.path.parent / "manifest.json").symlink_to(theirs)
    assert cache.find(entry.key) is None
    assert theirs.stat().st_mtime == 5


def test_stats_count_entries_and_bytes_by_kind(cache: ArtefactCache) -> None:
    for name in "ab":
        put(cache, name, days_ago=0)
    put(cache, "c", days_ago=0, kind="compiled")
    stats = cache.stats()
    on_disk = sum(p.stat().st_size for p in (cache.root / "v2/entries").rglob("*") if p.is_file())
    assert list(stats.kinds) == ["compiled", "variant"]
    assert [usage.entries for usage in stats.kinds.values()] == [1, 2]
    assert stats.total.bytes == on_disk
    assert stats.total.bytes > 3000


_STORED = st.lists(
    st.builds(
        Stored,
        path=st.just(Path("x")),
        kind=st.just("variant"),
        digest=st.uuids().map(str),
        bytes=st.integers(0, 100),
        used_ns=st.one_of(st.integers(0, 50), st.sampled_from([-(10**12), 51, 10**12])).map(
            lambda day: int(day * DAY * 1e9)
        ),
    ),
    unique_by=lambda item: item.digest,
    max_size=12,
)


@given(_STORED, st.none() | st.integers(0, 50), st.none() | st.integers(0, 800), st.integers(0, 9))
def test_plan_keeps_its_limits_and_removes_no_more_than_it_must(
    stored: list[Stored], days: int | None, max_bytes: int | None, spare: int
) -> None:
    now = int(50 * DAY * 1e9)
    max_age = None if days is None else timedelta(days=days)
    plan = plan_eviction(
        stored, now_ns=now, max_age=max_age, max_bytes=max_bytes, spare=timedelta(days=spare)
    )
    kept = [item for item in stored if item not in plan]

    def age_of(item: Stored) -> float:
        return (now - item.used_ns) / 1e9 / DAY

    assert all(age_of(item) >= spare for item in plan)
    removable = [item for item in kept if age_of(item) >= spare]
    assert days is None or all(age_of(item) <= days for item in removable)
    total = sum(item.bytes for item in kept)
    assert max_bytes is None or total <= max_bytes or not removable
    if plan:  # one entry fewer would not have done
        last = plan[-1]
        too_old = days is not None and age_of(last) > days
        assert too_old or (max_bytes is not None and total + last.bytes > max_bytes)
    assert all(age_of(gone) >= age_of(stays) for gone in plan for stays in removable)
