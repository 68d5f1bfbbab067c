"""Check an entry on disk: whether it is there, and whether it is intact.

An entry is intact if its manifest is, to the byte, what was written, if it is the manifest of this
key, and if every file it lists is a plain file with the right size and sha256, in plain
directories. This is checked whenever an entry is returned, so nothing damaged is ever used. Only a
large file is not read again, as long as the file system says that it is the file that was read
before.

Damage is a fault of the entry. A failure of the check itself (no permission, too many open files)
says nothing about the entry and raises `CacheError`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cache.durable import make_directory
from bench.cache.faults import cache_error, reporting
from bench.cache.layout import FILES, MANIFEST, Layout
from bench.cache.manifest import MANIFEST_BYTES, FileRecord, Manifest, parse_manifest
from bench.cache.plain_files import (
    NotPlainError,
    hash_stream,
    is_plain_directory,
    opened_plain,
    read_descriptor,
)
from bench.core.logging import logger
from bench.core.text import one_line

__all__ = ["LARGE_BYTES", "CheckedFiles", "Damage", "check_entry", "move_aside"]

_LOG = logger(__name__)

#: Files above this size are not read again while there is no sign of a change. Hashing a file of
#: this size takes about a millisecond.
LARGE_BYTES: Final = 1 << 20

#: A file that changed more recently than this may change again without a sign, because file systems
#: store the time of a change in steps, some of two seconds. Such a file is not remembered.
_SETTLED_NS: Final = 3_000_000_000

#: The name leads nowhere, or not to a file.
_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
#: The contents are lost: the disk fails, or the checksum of the file system does not match.
_LOST = frozenset({errno.EIO, errno.EBADMSG})


@dataclass(frozen=True)
class Damage:
    """An entry that cannot be used, and why, in one line."""

    reason: str


class _DamagedError(Exception):
    """Ends the check of an entry at the first thing that is wrong."""


@dataclass(frozen=True)
class _Identity:
    """What the file system says about a file as long as nobody changes it. Times in ns."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> _Identity:
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class CheckedFiles:
    """The large files that were found intact, and what the file system said about them."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], _Identity] = {}

    def knows(self, path: Path, record: FileRecord, identity: _Identity) -> bool:
        """Whether this file was found to be what `record` says."""
        return self._known.get((path, record.sha256)) == identity

    def note(self, path: Path, record: FileRecord, identity: _Identity, looked_ns: int) -> None:
        """Remember a file that is what `record` says, if a change since `looked_ns` would show."""
        settled = looked_ns - max(identity.modified, identity.changed) > _SETTLED_NS
        if settled:
            self._known[path, record.sha256] = identity


@contextmanager
def _looking_at(name: str, path: Path) -> Iterator[None]:
    """Raise `_DamagedError` if an error of the block means that `name` is lost."""
    try:
        yield
    except NotPlainError as error:
        raise _DamagedError(f"{name} is not a plain file") from error
    except OSError as error:
        if error.errno in _MISSING:
            raise _DamagedError(f"{name} is missing") from error
        if error.errno in _LOST:
            raise _DamagedError(f"{name} cannot be read: {error.strerror}") from error
        raise cache_error("check an entry", path, error) from error


def _is_there(entry: Path) -> bool:
    with reporting("look at an entry", entry):
        try:
            is_directory = is_plain_directory(entry)
        except FileNotFoundError:
            return False
    if not is_directory:
        raise _DamagedError("it is not a directory")
    return True


def _read_manifest(entry: Path) -> Manifest:
    path = entry / MANIFEST
    with _looking_at("its manifest", path), opened_plain(path) as (descriptor, found):
        size = found.st_size
        content = read_descriptor(descriptor, size) if size <= MANIFEST_BYTES else b""
    if max(size, len(content)) > MANIFEST_BYTES:
        raise _DamagedError(f"its manifest has more than {MANIFEST_BYTES} bytes")
    try:
        manifest = parse_manifest(content)
    except ValueError as error:
        raise _DamagedError(f"its manifest is not one: {error}") from error
    if manifest.digest != entry.name or manifest.kind != entry.parent.parent.name:
        raise _DamagedError(f"its manifest belongs to {manifest.key}")
    return manifest


def _check_directories(files: Path, manifest: Manifest) -> None:
    """No directory on the way to a file may be a link, because its target is not in the entry."""
    above = {parent for one in manifest.files for parent in _parents(one.path)}
    for name in ("", *sorted(above)):
        path = files / name
        with _looking_at(name or FILES, path):
            is_directory = is_plain_directory(path)
        if not is_directory:
            raise _DamagedError(f"{name or FILES} is not a directory")


def _parents(name: str) -> Iterator[str]:
    """`a` and `a/b` of `a/b/c`."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _check_file(path: Path, record: FileRecord, checked: CheckedFiles) -> None:
    # Before reading, so that a change made meanwhile shows at the next check.
    looked_ns = time.time_ns()
    with _looking_at(record.path, path), opened_plain(path) as (descriptor, found):
        if found.st_size != record.size:
            raise _DamagedError(f"{record.path} has {found.st_size} bytes, not {record.size}")
        if record.size <= LARGE_BYTES:
            digest = hashlib.sha256(read_descriptor(descriptor, record.size)).hexdigest()
        elif checked.knows(path, record, _Identity.of(found)):
            return
        else:
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                digest, _ = hash_stream(stream)
    if digest != record.sha256:
        raise _DamagedError(f"{record.path} has sha256 {digest}, not {record.sha256}")
    if record.size > LARGE_BYTES:
        checked.note(path, record, _Identity.of(found), looked_ns)


def check_entry(entry: Path, checked: CheckedFiles) -> Manifest | Damage | None:
    """The manifest of the entry at `entry` if the entry is intact; None if there is nothing.

    Large files that are in `checked` are not read again; those found intact are added to it.
    Raises `CacheError` if the disk cannot be read.
    """
    try:
        if not _is_there(entry):
            return None
        manifest = _read_manifest(entry)
        files = entry / FILES
        _check_directories(files, manifest)
        for record in manifest.files:
            _check_file(files / record.path, record, checked)
    except _DamagedError as error:
        return Damage(one_line(str(error)))
    return manifest


def move_aside(layout: Layout, entry: Path, damage: Damage) -> Path:
    """Rename a damaged entry into the quarantine. The caller holds its key's lock.

    Raises `CacheError` if the cache is not writable.
    """
    aside = layout.new_quarantine(entry.name)
    with reporting(f"move aside a damaged entry ({damage.reason})", entry):
        make_directory(layout.quarantine)
        entry.rename(aside)
    _LOG.warning("cache: damaged entry %s (%s) moved to %s", entry, damage.reason, aside)
    return aside
