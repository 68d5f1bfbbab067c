"""The cache in one process: find, build, read back; what builds may and may not do."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from bench.cache import ArtefactCache, CacheKey, LockInfo, default_root
from bench.core.errors import BuildError, CacheError

KEY = CacheKey("compiled", {"model": "ab" * 32, "rate": 0.1, "vela": "5.2.0"})


def writes(**files: str) -> Callable[[Path], None]:
    def build(directory: Path) -> None:
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")

    return build


def refuses(directory: Path) -> None:
    raise AssertionError(f"built a second time, in {directory}")


@pytest.fixture
def cache(tmp_path: Path) -> ArtefactCache:
    return ArtefactCache(tmp_path / "cache", report_every=0.1)


def test_second_request_does_no_work(cache: ArtefactCache) -> None:
    assert cache.find(KEY) is None
    first = cache.get_or_build(KEY, writes(model="weights"))
    second = cache.get_or_build(KEY, refuses)
    found = cache.find(KEY)
    assert first.built
    assert not second.built
    assert found == second
    assert (second.path / "model").read_text(encoding="utf-8") == "weights"
    assert cache.stats().total.entries == 1
    assert cache.verify() == []


def test_everything_is_flushed_before_it_gets_its_name(
    cache: ArtefactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut cannot be had here, so the order that survives one is checked instead."""
    cache.get_or_build(CacheKey("other", {}), writes(x="x"))
    flushed: list[int] = []
    renamed_after: list[int] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        flushed.append(os.fstat(descriptor).st_ino)

    def noted_rename(path: Path, target: Path) -> Path:
        renamed_after.append(len(flushed))
        return rename(path, target)

    def build(directory: Path) -> None:
        (directory / "deep" / "er").mkdir(parents=True)
        (directory / "deep" / "er" / "model").write_text("x", encoding="utf-8")

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    published = cache.get_or_build(KEY, build).path.parent
    [before] = renamed_after
    inodes = {path.stat().st_ino for path in [published, *published.rglob("*")]}
    assert inodes <= set(flushed[:before])
    parents = [published.parent, published.parent.parent, published.parent.parent.parent]
    assert {path.stat().st_ino for path in parents[1:]} <= set(flushed[:before])
    assert flushed[before:] == [parents[0].stat().st_ino]


def test_a_look_creates_nothing(cache: ArtefactCache) -> None:
    assert cache.find(KEY) is None
    assert not cache.exists()
    assert cache.gc(max_bytes=0).removed == ()
    assert not cache.root.exists()


def _nothing(root: Path) -> None:
    pass


def _a_directory_of_something_else(root: Path) -> None:
    (root / "cells").mkdir(parents=True)


def _a_cache_of_another_format(root: Path) -> None:
    (root / "v1" / "entries").mkdir(parents=True)


def _a_file(root: Path) -> None:
    root.write_text("", encoding="utf-8")


@pytest.mark.parametrize(
    "make", [_nothing, _a_directory_of_something_else, _a_cache_of_another_format, _a_file]
)
@pytest.mark.parametrize("look", [ArtefactCache.verify, ArtefactCache.stats])
def test_where_no_cache_is_nothing_is_clean(
    cache: ArtefactCache, make: Callable[[Path], None], look: Callable[[ArtefactCache], object]
) -> None:
    """A misspelt path must not pass for a cache in good order."""
    make(cache.root)
    with pytest.raises(CacheError, match="there is none at") as caught:
        look(cache)
    assert str(cache.root) in caught.value.what
    assert "--cache" in caught.value.cure


def test_manifest_tells_what_the_entry_is(cache: ArtefactCache) -> None:
    def build(directory: Path) -> None:
        (directory / "deep" / "er").mkdir(parents=True)
        (directory / "deep" / "er" / "x.bin").write_bytes(b"\x00" * 3_000_000)
        (directory / "manifest.json").write_text("the product's own", encoding="utf-8")

    entry = cache.get_or_build(KEY, build)
    again = cache.find(KEY)
    assert again is not None
    assert again.manifest == entry.manifest
    assert again.manifest.key == KEY
    assert again.manifest.parameters == KEY.parameters
    assert {record.path: record.size for record in again.manifest.files} == {
        "deep/er/x.bin": 3_000_000,
        "manifest.json": 17,
    }
    assert again.manifest.pid == os.getpid()
    assert again.file("manifest.json").read_text(encoding="utf-8") == "the product's own"
    with pytest.raises(CacheError, match=r"no file 'x\.bin'"):
        again.file("x.bin")
    assert cache.verify() == []


def test_error_of_a_build_passes_through_and_leaves_nothing(cache: ArtefactCache) -> None:
    failure = BuildError("training diverged")

    def build(directory: Path) -> None:
        (directory / "half").write_text("half", encoding="utf-8")
        raise failure

    with pytest.raises(BuildError) as caught:
        cache.get_or_build(KEY, build)
    assert caught.value is failure
    assert cache.find(KEY) is None
    assert cache.verify() == []
    assert cache.stats().total.entries == 0
    assert cache.stats().temporaries.entries == 0
    assert cache.get_or_build(KEY, writes(model="second try")).built


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interrupted_build_leaves_nothing(
    cache: ArtefactCache, interruption: type[BaseException]
) -> None:
    def build(directory: Path) -> None:
        (directory / "half").write_text("half", encoding="utf-8")
        raise interruption

    with pytest.raises(interruption):
        cache.get_or_build(KEY, build)
    assert cache.stats().temporaries.entries == 0
    assert cache.get_or_build(KEY, writes(model="x")).built


def _leaves_nothing(directory: Path) -> None:
    (directory / "empty").mkdir()


def _leaves_a_link(directory: Path) -> None:
    (directory / "link").symlink_to("/etc/hostname")


def _leaves_a_pipe(directory: Path) -> None:
    os.mkfifo(directory / "pipe")


def _leaves_an_unprintable_name(directory: Path) -> None:
    Path(os.fsdecode(os.fsencode(directory) + b"/\xff")).write_text("x", encoding="utf-8")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (_leaves_nothing, "left no file"),
        (_leaves_a_link, "'link', which is neither file nor directory"),
        (_leaves_a_pipe, "'pipe', which is neither file nor directory"),
        (_leaves_an_unprintable_name, "not UTF-8"),
        (shutil.rmtree, "No such file"),
    ],
)
def test_products_that_cannot_be_kept_are_refused(
    cache: ArtefactCache, build: Callable[[Path], None], said: str
) -> None:
    with pytest.raises(CacheError, match=said) as caught:
        cache.get_or_build(KEY, build)
    assert "compiled" in str(caught.value)
    assert cache.find(KEY) is None
    assert cache.verify() == []


def test_build_may_ask_for_its_inputs(cache: ArtefactCache) -> None:
    source = CacheKey("variant", {"name": "pruned"})

    def build(directory: Path) -> None:
        inner = cache.get_or_build(source, writes(weights="w"))
        (directory / "model").write_text(
            inner.file("weights").read_text(encoding="utf-8") + "!", encoding="utf-8"
        )

    assert cache.get_or_build(KEY, build).file("model").read_text(encoding="utf-8") == "w!"
    assert list(cache.stats().kinds) == ["compiled", "variant"]
    assert cache.verify() == []


def test_build_that_asks_for_itself_is_told_so(cache: ArtefactCache) -> None:
    def build(directory: Path) -> None:
        cache.get_or_build(KEY, build)

    with pytest.raises(CacheError, match="its own product"):
        cache.get_or_build(KEY, build)
    assert cache.verify() == []


def test_threads_of_one_process_build_once_and_say_who_is_waited_for(
    cache: ArtefactCache,
) -> None:
    building, finish = threading.Event(), threading.Event()
    reports: list[LockInfo] = []
    built: list[bool] = []

    def slow(directory: Path) -> None:
        building.set()
        assert finish.wait(10)
        (directory / "model").write_text("x", encoding="utf-8")

    def hear(info: LockInfo) -> None:
        reports.append(info)
        if len(reports) == 2:
            finish.set()

    holder = threading.Thread(target=lambda: built.append(cache.get_or_build(KEY, slow).built))
    holder.start()
    assert building.wait(10)
    assert cache.verify() == []  # a running build is no leftover
    assert cache.gc().swept.removed == ()
    assert not cache.get_or_build(KEY, refuses, on_wait=hear).built
    holder.join()
    assert built == [True]
    # On a busy machine the builder may take longer to end, and more is said meanwhile.
    assert {info.digest for info in reports} == {KEY.digest}
    assert reports[0].waited < reports[1].waited
    assert reports[0].holder is not None
    assert reports[0].holder.pid == os.getpid()
    assert str(os.getpid()) in str(reports[0])


def test_what_on_wait_raises_ends_the_wait(cache: ArtefactCache) -> None:
    class GivenUpError(Exception):
        pass

    def give_up(info: LockInfo) -> None:
        assert info.holder is None  # held by something that left no note
        raise GivenUpError

    cache.get_or_build(CacheKey("compiled", {}), writes(x="x"))
    with FileLock(cache.root / "v2" / "locks" / f"{KEY.digest}.lock"), pytest.raises(GivenUpError):
        cache.get_or_build(KEY, writes(x="x"), on_wait=give_up)
    assert cache.get_or_build(KEY, writes(x="x")).built


@pytest.mark.filterwarnings("ignore:flock not supported")  # filelock's own, about its fallback
def test_file_system_without_flock_is_refused(
    cache: ArtefactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A marker file instead of flock would outlive a killed process: better no cache at all."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(CacheError, match="flock") as caught:
        cache.get_or_build(KEY, writes(x="x"))
    assert "BENCH_CACHE" in caught.value.cure


def test_root_beneath_a_file_is_reported_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    cache = ArtefactCache(tmp_path / "file" / "cache")
    with pytest.raises(CacheError, match=str(tmp_path / "file")) as caught:
        cache.get_or_build(KEY, writes(x="x"))
    assert "BENCH_CACHE" in caught.value.cure


def test_default_root_follows_bench_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_root({"BENCH_CACHE": "relative"}) == tmp_path / "relative"
    assert default_root({"BENCH_CACHE": "~/c"}) == Path.home() / "c"
    assert default_root({"BENCH_CACHE": ""}) == default_root({})
    assert default_root({}).name == "ethos-u55-bench"
    assert list(tmp_path.iterdir()) == []


def test_a_finding_is_kept_like_any_product(cache: ArtefactCache) -> None:
    """A build that comes to another end than hoped for may keep that: its file says which."""

    def build(directory: Path) -> None:
        (directory / "finding.json").write_text('{"ended": "SIGABRT"}', encoding="utf-8")

    assert cache.get_or_build(KEY, build).names == ("finding.json",)
    kept = cache.get_or_build(KEY, refuses)
    assert "outputs.npz" not in kept.names
    assert kept.file("finding.json").read_text(encoding="utf-8") == '{"ended": "SIGABRT"}'


def test_leftover_that_cannot_be_removed_is_reported_and_does_not_stop_builds(
    cache: ArtefactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shared cache it may belong to somebody else."""
    cache.get_or_build(KEY, writes(x="x"))
    leftover = cache.root / "v2" / "tmp" / f"{'ab' * 32}.{'0' * 16}"
    leftover.mkdir()

    def rmtree(path: Path, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", rmtree)
        assert cache.get_or_build(CacheKey("other", {}), writes(x="x")).built
        report = cache.gc().swept
    assert report.removed == ()
    [(path, reason)] = report.failed
    assert path == leftover
    assert str(leftover) in reason
    assert [problem.path for problem in cache.verify()] == [leftover]
    assert cache.gc().swept.removed == (leftover,)
    assert cache.verify() == []
