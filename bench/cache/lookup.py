"""Find products by what they hold instead of by what made them."""

from __future__ import annotations

from collections.abc import Iterator

from bench.cache.durable import list_directory
from bench.cache.faults import reporting
from bench.cache.layout import MANIFEST, Layout, is_entry_path
from bench.cache.manifest import MANIFEST_BYTES, Manifest, parse_manifest
from bench.cache.plain_files import open_plain

__all__ = ["manifests_with"]


def manifests_with(layout: Layout, kind: str, sha256: str) -> Iterator[Manifest]:
    """The manifests of `kind` that list a file of this sha256. Their files are not checked.

    Entries that disappear and manifests that are damaged are left out. Raises `CacheError` if a
    directory cannot be read.
    """
    wanted = sha256.encode()
    place = layout.entries / kind
    with reporting("list the cache", place):
        entries = [
            entry
            for prefix in list_directory(place)
            if prefix.is_dir()
            for entry in list_directory(prefix)
            if is_entry_path(entry)
        ]
    for entry in entries:
        try:
            with open_plain(entry / MANIFEST) as stream:
                content = stream.read(MANIFEST_BYTES + 1)
            # Most manifests are not parsed, which would take most of the time.
            manifest = parse_manifest(content) if wanted in content else None
        except (OSError, ValueError):
            continue
        if manifest is not None and any(file.sha256 == sha256 for file in manifest.files):
            yield manifest
