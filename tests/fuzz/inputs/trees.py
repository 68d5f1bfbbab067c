"""Damage to a directory of files, or to one file: what disks, copies and people do to them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.inputs.values import mutate_document
from tests.fuzz.mutate_bytes import mutate_bytes

__all__ = ["damage_tree", "odd_file"]

Random = np.random.Generator

#: Bytes; no file of an intact seed is larger.
_SMALL = 1 << 24
#: Seconds since 1970: long ago, and far in the future.
_STAMPS = (0, 1, 1 << 31, 1 << 33)


def damage_tree(root: Path, random: Random) -> str:
    """Damage one to three things beneath `root`; what was done to which."""
    done = []
    for _ in range(int(min(random.geometric(0.6), 3))):
        paths = sorted(root.rglob("*"))
        files = [path for path in paths if _is_small_file(path)]
        if not files:
            break
        path = _one(random, files if random.random() < 0.9 else paths)
        done.append(f"{_damage(path, files, random)} {path.relative_to(root)}")
    return "+".join(done) or "nothing"


def odd_file(path: Path, random: Random) -> str:
    """Put something other than a file of content at `path`, where nothing need be; what it is."""
    if path.is_symlink() or path.exists():
        _remove(path)
    kind = _one(random, ("absent", "pipe", "directory", "device", "loop", "dangling", "empty"))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "dangling":
        path.symlink_to("nothing-there")
    elif kind == "empty":
        path.write_bytes(b"")
    return str(kind)


def _one(random: Random, items: Any) -> Any:
    return items[int(random.integers(len(items)))]


def _is_small_file(path: Path) -> bool:
    """Not what this module made itself: a link to a device, or a terabyte of nothing."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size < _SMALL


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _damage(path: Path, files: list[Path], random: Random) -> str:
    if not _is_small_file(path):
        return odd_file(path, random)
    way = _one(random, _WAYS)
    return f"{way.__name__.lstrip('_')} {way(path, files, random)}".rstrip()


def _odd(path: Path, files: list[Path], random: Random) -> str:
    return odd_file(path, random)


def _bytes(path: Path, files: list[Path], random: Random) -> str:
    what, data = mutate_bytes(path.read_bytes(), random, resize=bool(random.random() < 0.5))
    path.write_bytes(data)
    return what


def _swap(path: Path, files: list[Path], random: Random) -> str:
    """Two files in each other's place."""
    other = _one(random, files)
    mine, others = path.read_bytes(), other.read_bytes()
    path.write_bytes(others)
    other.write_bytes(mine)
    return f"with {other.name}"


def _stretch(path: Path, files: list[Path], random: Random) -> str:
    """Zeros up to an absurd size, which take no room."""
    os.truncate(path, 1 << int(_one(random, (13, 33, 40))))
    return ""


def _stray(path: Path, files: list[Path], random: Random) -> str:
    """Another file beside it, with a name that fits or that nobody can write."""
    name = _one(random, (path.name + "x", "x.json", ".json", "a\nb.json", "\udcff.json", "\x1b[1m"))
    odd = path.with_name(str(name))
    if not odd.exists():
        shutil.copyfile(path, odd)
    return repr(str(name))


def _stamp(path: Path, files: list[Path], random: Random) -> str:
    stamp = int(_one(random, _STAMPS))
    os.utime(path, (stamp, stamp))
    return str(stamp)


def _document(path: Path, files: list[Path], random: Random) -> str:
    """What a JSON file says: a value, a key, a kind; a line of several by itself."""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    several = path.suffix == ".jsonl" and len(lines) > 1
    at = int(random.integers(len(lines))) if several else 0
    try:
        document = json.loads(lines[at] if several else "\n".join(lines))
    except ValueError:
        return "of no JSON"
    if not isinstance(document, dict):
        return "of no table"
    what, changed = mutate_document(document, random)
    text = json.dumps(changed, indent=None if several else 1)
    content = [*lines[:at], text, *lines[at + 1 :]] if several else [text]
    path.write_text("\n".join([*content, ""]), encoding="utf-8", errors="surrogateescape")
    return what


_WAYS: tuple[Callable[[Path, list[Path], Random], str], ...] = (
    *(_document, _document, _document, _document, _bytes, _bytes, _odd, _swap, _stretch),
    *(_stray, _stamp),
)
