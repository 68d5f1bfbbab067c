"""What is damaged is never used: noticed, moved aside and built anew; `verify` says so."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from bench.cache import ArtefactCache, CacheKey, Entry, ProblemKind
from bench.cache.inspection import LARGE_BYTES
from bench.cache.plain_files import hash_stream
from bench.core.errors import CacheError

KEY = CacheKey("variant", {"rate": 0.1, "epochs": 3})
OTHER = CacheKey("variant", {"rate": 0.2, "epochs": 3})

MODEL = b"weights" * 100
LARGE = bytes(range(256)) * (LARGE_BYTES // 256) + b"more"

#: Everything an entry consists of, seen from its directory.
PARTS = (".", "manifest.json", "files", "files/sub", "files/sub/model", "files/report")


def build(directory: Path) -> None:
    (directory / "sub").mkdir()
    (directory / "sub" / "model").write_bytes(MODEL)
    (directory / "report").write_text("fine", encoding="utf-8")


def build_large(directory: Path) -> None:
    (directory / "large").write_bytes(LARGE)


@pytest.fixture(autouse=True)
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing is most of the time these tests would take, and shows only in a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def cache(tmp_path: Path) -> ArtefactCache:
    return ArtefactCache(tmp_path / "cache")


@pytest.fixture
def entry(cache: ArtefactCache) -> Entry:
    return cache.get_or_build(KEY, build)


@pytest.fixture
def no_hang() -> Iterator[None]:
    """Ends a test that waits for a pipe, by an error."""

    def out_of_time(number: int, frame: object) -> None:
        raise TimeoutError("the cache hangs")

    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def manifest_of(entry: Entry) -> Path:
    return entry.path.parent / "manifest.json"


def damaged(cache: ArtefactCache) -> list[Path]:
    """The entries `verify` calls damaged. Quarantined ones may be there too, nothing else."""
    problems = cache.verify()
    assert {p.kind for p in problems} <= {ProblemKind.DAMAGED, ProblemKind.QUARANTINED}, problems
    return [p.path for p in problems if p.kind is ProblemKind.DAMAGED]


def _edit(entry: Entry, **changes: Any) -> None:
    """By somebody who knows how a manifest vouches for itself."""
    content = json.loads(manifest_of(entry).read_text(encoding="utf-8"))["manifest"] | changes
    # Not by `json`, which writes some floats in other digits.
    sealed = {"manifest": content, "sha256": hashlib.sha256(to_json(content)).hexdigest()}
    manifest_of(entry).write_bytes(to_json(sealed, indent=1) + b"\n")


def _edit_nothing(entry: Entry) -> None:
    _edit(entry)


def _edit_the_parameters(entry: Entry) -> None:
    _edit(entry, parameters={"rate": 0.1, "epochs": 4})


def _edit_the_version(entry: Entry) -> None:
    _edit(entry, format_version=1)


def _list_a_file_outside(entry: Entry) -> None:
    _edit(entry, files=[{"path": "../manifest.json", "size": 1, "sha256": "0" * 64}])


def _take_anothers_manifest(entry: Entry) -> None:
    _edit(entry, parameters=OTHER.parameters, digest=OTHER.digest)


def _take_another_kinds_manifest(entry: Entry) -> None:
    other = CacheKey("compiled", KEY.parameters)
    _edit(entry, kind=other.kind, digest=other.digest)


def _edit_without_the_sum(entry: Entry) -> None:
    content = manifest_of(entry).read_text(encoding="utf-8")
    host = json.loads(content)["manifest"]["host"]
    manifest_of(entry).write_text(
        content.replace(f'"host": "{host}"', '"host": "elsewhere"'), encoding="utf-8"
    )


def _add_a_space(entry: Entry) -> None:
    manifest_of(entry).write_text(
        manifest_of(entry).read_text(encoding="utf-8") + " ", encoding="utf-8"
    )


def _nest_the_manifest(entry: Entry) -> None:
    manifest_of(entry).write_text("[" * 100_000, encoding="utf-8")


def _blow_up_the_manifest(entry: Entry) -> None:
    os.truncate(manifest_of(entry), 1 << 40)  # takes no room; reading it would take a terabyte


def _lose_all_files(entry: Entry) -> None:
    shutil.rmtree(entry.path)


def _lengthen(entry: Entry) -> None:
    with (entry.path / "report").open("a", encoding="utf-8") as stream:
        stream.write("!")


def _truncate(entry: Entry) -> None:
    os.truncate(entry.path / "sub" / "model", 699)


def test_editing_by_the_rules_alone_is_no_damage(cache: ArtefactCache, entry: Entry) -> None:
    """Else the edits below would show nothing."""
    _edit_nothing(entry)
    assert cache.verify() == []


@pytest.mark.parametrize(
    "harm",
    [
        _edit_the_parameters,
        _edit_the_version,
        _list_a_file_outside,
        _take_anothers_manifest,
        _take_another_kinds_manifest,
        _edit_without_the_sum,
        _add_a_space,
        _nest_the_manifest,
        _blow_up_the_manifest,
        _lose_all_files,
        _lengthen,
        _truncate,
    ],
)
@pytest.mark.parametrize("look_first", [True, False])
def test_damaged_entry_counts_as_absent_and_is_built_anew(
    cache: ArtefactCache, entry: Entry, harm: Callable[[Entry], None], look_first: bool
) -> None:
    harm(entry)
    assert damaged(cache) == [entry.path.parent]
    if look_first:
        assert cache.find(KEY) is None
    rebuilt = cache.get_or_build(KEY, build)
    assert rebuilt.built
    assert (rebuilt.path / "sub" / "model").read_bytes() == MODEL
    [problem] = cache.verify()
    assert problem.kind is ProblemKind.QUARANTINED
    assert problem.harmless
    assert cache.gc().swept.removed == (problem.path,)
    assert cache.verify() == []


def _remove(path: Path, aside: Path) -> None:
    path.rename(aside)


def _put_a_directory(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.mkdir()


def _put_a_file(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.write_bytes(b"x" * (aside.lstat().st_size if aside.is_file() else 5))


def _put_a_pipe(path: Path, aside: Path) -> None:
    path.rename(aside)
    os.mkfifo(path)


def _put_a_socket(path: Path, aside: Path) -> None:
    path.rename(aside)
    with socket.socket(socket.AF_UNIX) as made:
        descriptor = os.open(path.parent, os.O_RDONLY)  # the whole path may be too long
        made.bind(f"/proc/self/fd/{descriptor}/{path.name}")
        os.close(descriptor)


def _put_a_device(path: Path, aside: Path) -> None:
    path.rename(aside)
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root may make a device: devices in an entry are NOT tested")


def _put_a_link_to_a_device(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.symlink_to("/dev/zero")


def _put_a_link_to_the_same(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.symlink_to(aside)


def _put_a_link_to_itself(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.symlink_to(path.name)


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "harm",
    [
        _remove,
        _put_a_directory,
        _put_a_file,
        _put_a_pipe,
        _put_a_socket,
        _put_a_device,
        _put_a_link_to_a_device,
        _put_a_link_to_the_same,
        _put_a_link_to_itself,
    ],
)
def test_nothing_else_may_stand_in_an_entry(
    cache: ArtefactCache,
    entry: Entry,
    part: str,
    harm: Callable[[Path, Path], None],
    tmp_path: Path,
) -> None:
    """Whatever takes the place of a part: nobody waits for it, reads it or follows it."""
    harm((entry.path.parent / part), tmp_path / "aside")
    if (part, harm) == (".", _remove):
        assert cache.verify() == []
    else:
        assert damaged(cache) == [entry.path.parent]
        assert cache.gc(dry_run=True).damaged[0].path == entry.path.parent
    assert cache.stats().total.bytes < 10_000
    assert cache.find(KEY) is None
    rebuilt = cache.get_or_build(KEY, build)
    assert rebuilt.built
    assert rebuilt.file("sub/model").read_bytes() == MODEL
    assert damaged(cache) == []
    assert cache.find(KEY) is not None
    cache.gc()
    assert cache.verify() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    name=st.sampled_from(["manifest.json", "files/sub/model", "files/report"]),
    place=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 255),
)
def test_no_changed_byte_is_believed(
    cache: ArtefactCache, name: str, place: float, change: int
) -> None:
    """Any byte of any file, the manifest's too, by a reader that has used the entry before."""
    entry = cache.get_or_build(KEY, build)
    path = entry.path.parent / name
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= change
    path.write_bytes(content)
    assert damaged(cache) == [entry.path.parent]
    assert cache.find(KEY) is None
    assert cache.get_or_build(KEY, build).file("sub/model").read_bytes() == MODEL
    assert damaged(cache) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(garbage=st.binary(max_size=200), keep=st.floats(0, 1))
def test_no_garbage_in_a_manifest_is_believed(
    cache: ArtefactCache, garbage: bytes, keep: float
) -> None:
    """Whatever overwrites or is spliced into a manifest, the entry is absent, or as it was."""
    entry = cache.get_or_build(KEY, build)
    sound = manifest_of(entry).read_bytes()
    cut = int(len(sound) * keep)
    changed = sound[:cut] + garbage + sound[cut + len(garbage) :]
    manifest_of(entry).write_bytes(changed)
    assert (cache.find(KEY) is not None) == (changed == sound)
    assert cache.get_or_build(KEY, build).manifest.key == KEY


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(parameters=st.dictionaries(st.text(), JSON_VALUES, max_size=4))
def test_whatever_shaped_a_product_it_is_found_again(
    cache: ArtefactCache, parameters: dict[str, Any]
) -> None:
    """A manifest that did not read back as it was written would be damaged from its birth."""
    key = CacheKey("variant", parameters)
    cache.get_or_build(key, build)
    assert cache.find(key) is not None


def _let_it_settle(path: Path) -> None:
    """As if the file had been written long ago. Its time of change cannot be set, so wait."""
    while time.time() - path.stat().st_ctime <= 3.1:
        time.sleep(0.1)


def test_a_large_file_is_read_once_and_again_when_it_was_changed(
    cache: ArtefactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []

    def noted(stream: Any) -> tuple[str, int]:
        digest, size = hash_stream(stream)
        hashed.append(size)
        return digest, size

    monkeypatch.setattr("bench.cache.inspection.hash_stream", noted)
    path = cache.get_or_build(KEY, build_large).file("large")
    times = path.stat()
    cache.find(KEY)
    cache.find(KEY)
    assert hashed == [len(LARGE)] * 2  # too young: it might change again and not show it
    _let_it_settle(path)
    for _ in range(3):
        assert cache.find(KEY) is not None
    assert hashed == [len(LARGE)] * 3
    with path.open("r+b") as stream:
        stream.seek(5)
        stream.write(b"!")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # size and time as before
    assert cache.find(KEY) is None
    assert cache.get_or_build(KEY, build_large).file("large").read_bytes() == LARGE


def test_a_change_within_one_tick_of_the_clock_is_seen(cache: ArtefactCache) -> None:
    """File systems keep times in ticks of milliseconds: the change shows in no time stamp."""
    path = cache.get_or_build(KEY, build_large).file("large")
    for _ in range(20):
        assert cache.find(KEY) is not None
        with path.open("r+b") as stream:
            stream.write(b"!")
        assert cache.find(KEY) is None
        path = cache.get_or_build(KEY, build_large).file("large")


def test_another_process_finds_a_large_file_damaged_before_it_looked(
    cache: ArtefactCache,
) -> None:
    path = cache.get_or_build(KEY, build_large).file("large")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert ArtefactCache(cache.root).find(KEY) is None


def test_damage_is_told_in_one_line(cache: ArtefactCache, caplog: pytest.LogCaptureFixture) -> None:
    name = "two\nlines \x1b[31m"

    def build_odd(directory: Path) -> None:
        (directory / name).write_text("x", encoding="utf-8")

    entry = cache.get_or_build(KEY, build_odd)
    entry.file(name).write_text("y", encoding="utf-8")
    assert "\n" not in str(cache.verify()[0])
    with caplog.at_level(logging.WARNING):
        cache.get_or_build(KEY, build)
    [record] = caplog.records
    assert str(entry.path.parent) in record.getMessage()
    assert "sha256" in record.getMessage()
    assert record.getMessage().isprintable()


def test_foreign_files_are_reported_and_left_alone(cache: ArtefactCache, entry: Entry) -> None:
    base = cache.root / "v2"
    foreign = [
        base / "notes.txt",
        base / "locks" / "notes.txt",
        base / "tmp" / "notes.txt",
        base / "tmp" / f"{KEY.digest}.notes",
        base / "quarantine" / "notes.txt",
        base / "entries" / "notes.txt",
        base / "entries" / "variant" / "notes.txt",
        entry.path.parents[1] / "notes.txt",
        entry.path.parent / "notes.txt",
        entry.path / "sub" / "notes.txt",
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine", encoding="utf-8")
    link = entry.path / "sub" / "link"
    link.symlink_to("/")
    problems = cache.verify()
    assert {problem.path for problem in problems} == {*foreign, link}
    assert {problem.kind for problem in problems} == {ProblemKind.FOREIGN}
    assert not any(problem.harmless for problem in problems)
    cache.gc(max_bytes=10**9)
    assert all(path.read_text(encoding="utf-8") == "mine" for path in foreign)
    assert cache.find(KEY) is not None


def test_damage_that_cannot_be_moved_aside_is_an_error(cache: ArtefactCache, entry: Entry) -> None:
    """Silently building in its place is impossible, silently using it would be worse."""
    _truncate(entry)
    (cache.root / "v2" / "quarantine").write_text("in the way", encoding="utf-8")
    with pytest.raises(CacheError, match=r"move aside a damaged entry .*699 bytes, not 700"):
        cache.find(KEY)


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("note", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_stands_for_the_note_of_a_lock_is_not_read(
    cache: ArtefactCache, note: Callable[[Path], None]
) -> None:
    locks = cache.root / "v2" / "locks"
    locks.mkdir(parents=True)
    note(locks / f"{KEY.digest}.holder")
    assert cache.get_or_build(KEY, build).built
    assert cache.verify() == []


@pytest.mark.usefixtures("no_hang")
def test_a_failing_disk_is_damage_and_a_lack_of_means_is_not(
    cache: ArtefactCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has too many files open must not throw away what others made."""
    real = os.open
    number = 0

    def failing(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith("/report"):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", failing)
    number = 24  # EMFILE
    with pytest.raises(CacheError, match="Too many open files"):
        cache.find(KEY)
    [problem] = cache.verify()
    assert problem.kind is ProblemKind.UNREADABLE
    assert not problem.harmless
    report = cache.gc()
    assert report.damaged == ()
    assert [path for path, _ in report.failed] == [entry.path.parent]
    number = 5  # EIO
    assert cache.find(KEY) is None
    assert len(list((cache.root / "v2" / "quarantine").iterdir())) == 1
