"""A cache with one thing damaged: found, built anew, and never handed out as it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from bench.cache import ArtefactCache, CacheKey, Entry, ProblemKind
from bench.cache.manifest import parse_manifest
from bench.core.files import read_regular
from tests.fuzz.inputs.trees import damage_tree

__all__ = ["entry_case"]

Random = np.random.Generator


def entry_case(pristine: Path, directory: Path, random: Random) -> tuple[str, Callable[[], str]]:
    """A damaged copy of an entry of the cache at `pristine` (with all around it), and its use."""
    manifests = sorted(pristine.glob("v*/entries/*/*/*/manifest.json"))
    manifest = manifests[int(random.integers(len(manifests)))]
    entry = manifest.parent
    root = directory / "cache"
    copy = root / entry.relative_to(pristine)
    shutil.copytree(entry, copy)
    (root / "v2" / "locks").mkdir()
    key = parse_manifest(manifest.read_bytes()).key
    # Mostly the entry itself; now and then the directories that lead to it.
    what = damage_tree(copy if random.random() < 0.9 else root, random)
    return f"{key.kind}: {what}", lambda: _use(ArtefactCache(root), key, entry / "files", random)


def _use(cache: ArtefactCache, key: CacheKey, files: Path, random: Random) -> str:
    def build(target: Path) -> None:
        shutil.copytree(files, target, dirs_exist_ok=True)

    cache.verify()
    if random.random() < 0.5:
        cache.gc(max_age=timedelta(days=365), dry_run=bool(random.random() < 0.3))
    found = cache.find(key)
    if found is not None and not _same(found, files):
        return "a damaged entry was found and handed out"
    entry = cache.get_or_build(key, build)
    if not _same(entry, files):
        return "a damaged entry was used"
    if cache.find(key) is None:
        return "an entry that was just built is not found"
    damaged = [p for p in cache.verify() if p.kind is ProblemKind.DAMAGED]
    if any(p.path == entry.path.parent for p in damaged):
        return f"an entry that was just handed out is damaged: {damaged[0]}"
    cache.gc()
    again = cache.find(key)
    return "" if again is not None and _same(again, files) else "gc took a sound entry"


def _same(entry: Entry, files: Path) -> bool:
    """Whether the product is, file by file, what the pristine cache holds in `files`."""
    names = {p.relative_to(files).as_posix() for p in files.rglob("*") if p.is_file()}
    return names == set(entry.names) and all(
        _holds(entry.path / name, (files / name).read_bytes()) for name in names
    )


def _holds(path: Path, content: bytes) -> bool:
    """Whether `path`, which may be a pipe or a terabyte of nothing, is a file of `content`."""
    try:
        return read_regular(path, len(content)) == content
    except OSError:
        return False
