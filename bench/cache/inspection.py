"""Look at an entry on disk: is it there, is it whole?"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from bench.cache.durable import make_directory
from bench.cache.faults import reporting
from bench.cache.layout import FILES, MANIFEST, Layout
from bench.cache.manifest import Manifest, parse_manifest, sha256_of

__all__ = ["Damage", "check_contents", "inspect_entry", "move_aside", "read_stored"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Damage:
    """An entry that cannot be used, and why."""

    reason: str


def read_stored(entry: Path) -> Manifest | Damage | None:
    """The manifest of the entry at `entry`; None where nothing is there.

    Raises `CacheError` where the disk does not let us look, which says nothing of the entry.
    """
    with reporting("read the manifest of an entry", entry / MANIFEST):
        try:
            content = (entry / MANIFEST).read_bytes()
        except FileNotFoundError:
            return Damage("it has no manifest") if os.path.lexists(entry) else None
        except (NotADirectoryError, IsADirectoryError):
            return Damage("its manifest is not a file in a directory")
    try:
        manifest = parse_manifest(content)
    except ValueError as error:
        return Damage(f"its manifest is not one: {error}")
    if manifest.digest != entry.name or manifest.kind != entry.parent.parent.name:
        return Damage(f"its manifest belongs to {manifest.key}")
    return manifest


def _check_sizes(entry: Path, manifest: Manifest) -> Damage | None:
    with reporting("look at the files of an entry", entry):
        for record in manifest.files:
            path = entry / FILES / record.path
            try:
                size = path.stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return Damage(f"{record.path} is missing")
            if not path.is_file():
                return Damage(f"{record.path} is not a file")
            if size != record.size:
                return Damage(f"{record.path} has {size} bytes, not {record.size}")
    return None


def inspect_entry(entry: Path) -> Manifest | Damage | None:
    """The cheap check: a sound manifest, all files there with their sizes. Reads no content."""
    manifest = read_stored(entry)
    if not isinstance(manifest, Manifest):
        return manifest
    return _check_sizes(entry, manifest) or manifest


def check_contents(entry: Path) -> Manifest | Damage | None:
    """The full check: `inspect_entry`, then the sha256 of every file.

    A file that cannot be read (a failing disk) is damage too.
    """
    manifest = inspect_entry(entry)
    if not isinstance(manifest, Manifest):
        return manifest
    for record in manifest.files:
        try:
            found = sha256_of(entry / FILES / record.path)
        except OSError as error:
            return Damage(f"{record.path} cannot be read: {error.strerror}")
        if found != record.sha256:
            return Damage(f"{record.path} has sha256 {found}, not {record.sha256}")
    return manifest


def move_aside(layout: Layout, entry: Path, damage: Damage) -> Path:
    """Rename a damaged entry into the quarantine. The caller holds its key's lock.

    Raises `CacheError` where the cache is not writable.
    """
    aside = layout.new_quarantine(entry.name)
    with reporting(f"move aside a damaged entry ({damage.reason})", entry):
        make_directory(layout.quarantine)
        entry.rename(aside)
    _LOG.warning("cache: damaged entry %s (%s) moved to %s", entry, damage.reason, aside)
    return aside
