"""Take a product from a source: check everything, then give it its name, whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from bench.cache.building import private_directory, publish
from bench.cache.durable import write_file
from bench.cache.faults import reporting
from bench.cache.key import CacheKey
from bench.cache.layout import FILES, MANIFEST, Layout
from bench.cache.manifest import FileRecord, Manifest, parse_manifest
from bench.cache.remote.source import RemoteError, Source
from bench.core.files import sync_directory
from bench.core.units import KIB

__all__ = ["MOST_BYTES", "claimed_manifest", "receive"]

#: No larger product is taken from elsewhere.
MOST_BYTES: Final = 2 * KIB**3
#: What file systems allow for a name, in bytes.
_LONGEST_NAME: Final = 255


def receive(layout: Layout, key: CacheKey, source: Source) -> Manifest | None:
    """Publish the product of `key` from `source`. The caller holds the key's lock.

    Returns None if the source has no such product. Raises `RemoteError`, with nothing published, if
    it gives anything else than this product, to the byte; `CacheError` if storing fails.
    """
    content = source.manifest(key)
    if content is None:
        return None
    manifest = claimed_manifest(content, key)
    with private_directory(layout, key) as temporary:
        files = temporary / FILES
        with reporting(f"store {key}", files):
            directories = _make_directories(files, manifest)
            for record in manifest.files:
                _take(files / record.path, record, source, key)
            for directory in directories:
                sync_directory(directory)
            write_file(temporary / MANIFEST, content)
            sync_directory(temporary)
        publish(layout, key, temporary)
    return manifest


def claimed_manifest(content: bytes, key: CacheKey) -> Manifest:
    """The manifest in `content`, if it is one of `key` that can be stored. Pure.

    Raises `RemoteError`.
    """
    try:
        manifest = parse_manifest(content)
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"{key}: what was given is no manifest: {error}") from error
    if manifest.digest != key.digest or manifest.kind != key.kind:
        raise RemoteError(f"{key}: the manifest that was given belongs to {manifest.key}")
    if manifest.size > MOST_BYTES:
        raise RemoteError(f"{key}: has {manifest.size:,} bytes, more than {MOST_BYTES:,}")
    _check_names(manifest, key)
    return manifest


def _check_names(manifest: Manifest, key: CacheKey) -> None:
    """That every name stays in the entry is checked where manifests are parsed."""
    names = [record.path for record in manifest.files]
    if not names or len(set(names)) != len(names):
        raise RemoteError(f"{key}: its manifest lists no file, or one twice")
    directories = {parent.as_posix() for name in names for parent in Path(name).parents}
    for name in names:
        if name in directories:
            raise RemoteError(f"{key}: its manifest has {name!r} as file and as directory")
        if "\0" in name or any(len(part.encode()) > _LONGEST_NAME for part in name.split("/")):
            raise RemoteError(f"{key}: its manifest has a name that no file can have")


def _make_directories(files: Path, manifest: Manifest) -> list[Path]:
    """Make the directories of all files. Returns them, deepest first, with `files` itself."""
    found = {files / parent for record in manifest.files for parent in Path(record.path).parents}
    deepest = sorted(found, key=lambda path: len(path.parts), reverse=True)
    for directory in reversed(deepest):
        directory.mkdir(exist_ok=True)
    return deepest


def _take(path: Path, record: FileRecord, source: Source, key: CacheKey) -> None:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as stream:
        for piece in source.pieces(record):
            size += len(piece)
            if size > record.size:
                break
            digest.update(piece)
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
    if size != record.size:
        amount = "more" if size > record.size else f"{size:,}"
        raise RemoteError(f"{key}: {record.path!r} should have {record.size:,} bytes, has {amount}")
    if digest.hexdigest() != record.sha256:
        raise RemoteError(
            f"{key}: {record.path!r} has sha256 {digest.hexdigest()}, not {record.sha256}"
        )
