"""Damaged entries are noticed, moved aside and built anew; `verify` finds what `find` cannot."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cache import ArtefactCache, CacheKey, Entry, ProblemKind
from bench.core.errors import CacheError

KEY = CacheKey("variant", {"rate": 0.1, "epochs": 3})
OTHER = CacheKey("variant", {"rate": 0.2, "epochs": 3})


def build(directory: Path) -> None:
    (directory / "sub").mkdir()
    (directory / "sub" / "model").write_bytes(b"weights" * 100)
    (directory / "report").write_text("fine")


@pytest.fixture
def cache(tmp_path: Path) -> ArtefactCache:
    return ArtefactCache(tmp_path / "cache")


@pytest.fixture
def entry(cache: ArtefactCache) -> Entry:
    return cache.get_or_build(KEY, build)


def manifest_of(entry: Entry) -> Path:
    return entry.path.parent / "manifest.json"


def _edit(entry: Entry, **changes: Any) -> None:
    content = json.loads(manifest_of(entry).read_text())
    manifest_of(entry).write_text(json.dumps(content | changes))


def _truncate(entry: Entry) -> None:
    os.truncate(entry.path / "sub" / "model", 699)


def _lose_a_file(entry: Entry) -> None:
    (entry.path / "report").unlink()


def _lose_all_files(entry: Entry) -> None:
    shutil.rmtree(entry.path)


def _lose_the_manifest(entry: Entry) -> None:
    manifest_of(entry).unlink()


def _turn_a_file_into_a_directory(entry: Entry) -> None:
    (entry.path / "report").unlink()
    (entry.path / "report").mkdir()


def _turn_the_manifest_into_a_directory(entry: Entry) -> None:
    manifest_of(entry).unlink()
    manifest_of(entry).mkdir()


def _turn_the_entry_into_a_file(entry: Entry) -> None:
    shutil.rmtree(entry.path.parent)
    entry.path.parent.write_text("")


def _nest_the_manifest(entry: Entry) -> None:
    manifest_of(entry).write_text("[" * 100_000)


def _edit_the_parameters(entry: Entry) -> None:
    _edit(entry, parameters={"rate": 0.1, "epochs": 4})


def _edit_the_version(entry: Entry) -> None:
    _edit(entry, format_version=2)


def _list_a_file_outside(entry: Entry) -> None:
    _edit(entry, files=[{"path": "../manifest.json", "size": 1, "sha256": "0" * 64}])


def _take_anothers_manifest(entry: Entry) -> None:
    _edit(entry, parameters=OTHER.parameters, digest=OTHER.digest)


@pytest.mark.parametrize(
    "harm",
    [
        _truncate,
        _lose_a_file,
        _lose_all_files,
        _lose_the_manifest,
        _turn_a_file_into_a_directory,
        _turn_the_manifest_into_a_directory,
        _turn_the_entry_into_a_file,
        _nest_the_manifest,
        _edit_the_parameters,
        _edit_the_version,
        _list_a_file_outside,
        _take_anothers_manifest,
    ],
)
@pytest.mark.parametrize("look_first", [True, False])
def test_damaged_entry_counts_as_absent_and_is_built_anew(
    cache: ArtefactCache, entry: Entry, harm: Callable[[Entry], None], look_first: bool
) -> None:
    harm(entry)
    assert [problem.kind for problem in cache.verify()] == [ProblemKind.DAMAGED]
    if look_first:
        assert cache.find(KEY) is None
    rebuilt = cache.get_or_build(KEY, build)
    assert rebuilt.built
    assert (rebuilt.path / "sub" / "model").read_bytes() == b"weights" * 100
    [problem] = cache.verify()
    assert problem.kind is ProblemKind.QUARANTINED
    assert problem.harmless
    assert cache.sweep().removed == (problem.path,)
    assert cache.verify() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(garbage=st.binary(max_size=200), keep=st.floats(0, 1))
def test_no_garbage_in_a_manifest_is_believed(
    cache: ArtefactCache, garbage: bytes, keep: float
) -> None:
    """Whatever overwrites or is spliced into a manifest, `find` answers: whole, or absent."""
    entry = cache.get_or_build(KEY, build)
    sound = manifest_of(entry).read_bytes()
    cut = int(len(sound) * keep)
    manifest_of(entry).write_bytes(sound[:cut] + garbage + sound[cut + len(garbage) :])
    found = cache.find(KEY)
    if found is not None:
        # The splice fell where nothing depends on it (host, time), or changed nothing: what
        # names the entry and its files must be as it was (a hash is checked by verify alone).
        assert found.manifest.parameters == entry.manifest.parameters
        assert [(record.path, record.size) for record in found.manifest.files] == [
            (record.path, record.size) for record in entry.manifest.files
        ]
        manifest_of(entry).write_bytes(sound)
    assert cache.get_or_build(KEY, build).manifest.key == KEY


def test_flipped_byte_is_found_by_verify_and_cured_by_repair(
    cache: ArtefactCache, entry: Entry
) -> None:
    path = entry.path / "sub" / "model"
    content = bytearray(path.read_bytes())
    content[350] ^= 1
    path.write_bytes(content)
    cache.get_or_build(OTHER, build)
    assert cache.find(KEY) is not None  # the cheap look cannot see it
    [problem] = cache.verify()
    assert problem.kind is ProblemKind.DAMAGED
    assert not problem.harmless
    assert "sub/model" in problem.detail
    [aside] = cache.repair([problem])
    assert (aside / "files" / "sub" / "model").read_bytes() == bytes(content)
    assert cache.get_or_build(KEY, build).built
    assert not cache.get_or_build(OTHER, build).built
    assert cache.repair([problem]) == ()  # sound again: left alone
    cache.sweep()
    assert cache.verify() == []


def test_foreign_files_are_reported_and_left_alone(cache: ArtefactCache, entry: Entry) -> None:
    base = cache.root / "v1"
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
        path.write_text("mine")
    problems = cache.verify()
    assert {problem.path for problem in problems} == set(foreign)
    assert {problem.kind for problem in problems} == {ProblemKind.FOREIGN}
    cache.sweep()
    cache.gc(max_bytes=10**9)
    assert all(path.read_text() == "mine" for path in foreign)
    assert cache.find(KEY) is not None


def test_damage_that_cannot_be_moved_aside_is_an_error(cache: ArtefactCache, entry: Entry) -> None:
    """Silently building in its place is impossible, silently using it would be worse."""
    _truncate(entry)
    (cache.root / "v1" / "quarantine").write_text("in the way")
    with pytest.raises(CacheError, match=r"move aside a damaged entry .*699 bytes, not 700"):
        cache.find(KEY)
