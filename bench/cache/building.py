"""Make a product in a private directory and publish it whole.

The order guarantees this: write, flush every file, flush every directory, write and flush the
manifest, *rename*, flush the target directory. Before the rename nothing has the real name; after
it everything under that name is on the disk.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from bench.cache.durable import make_directory, write_file
from bench.cache.faults import DISK_FULL, cache_error, reporting
from bench.cache.key import CacheKey
from bench.cache.layout import FILES, FORMAT_VERSION, MANIFEST, Layout
from bench.cache.manifest import MANIFEST_BYTES, Manifest, record_files
from bench.core.errors import CacheError
from bench.core.files import sync_directory

__all__ = ["Build", "build_entry", "private_directory", "publish"]

#: Writes the product into the (empty, private) directory it is given.
Build = Callable[[Path], None]


def _run(build: Build, files: Path, key: CacheKey) -> float:
    """Run `build` and return its seconds. Its errors are passed on, except that of a full disk."""
    began = time.perf_counter()
    try:
        build(files)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise cache_error(f"build {key}", files, error) from error
        raise
    return time.perf_counter() - began


def _finish(temporary: Path, key: CacheKey, seconds: float) -> Manifest:
    """Describe and flush what `build` left in `temporary`."""
    with reporting(f"store {key}", temporary):
        records, directories = record_files(temporary / FILES, str(key))
        for directory in directories:
            sync_directory(directory)
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            kind=key.kind,
            digest=key.digest,
            parameters=key.parameters,
            files=records,
            created=datetime.now(timezone.utc),
            pid=os.getpid(),
            host=platform.node(),
            build_seconds=seconds,
        )
        content = manifest.to_json()
        if len(content) > MANIFEST_BYTES:
            raise CacheError(
                f"cache: the build of {key} left {len(records):,} files, too many for one entry",
                cure="let the build pack its product into fewer files",
            )
        write_file(temporary / MANIFEST, content)
        sync_directory(temporary)
    return manifest


@contextmanager
def private_directory(layout: Layout, key: CacheKey) -> Iterator[Path]:
    """A new directory to make the entry of `key` in, with an empty `files/`.

    If the block raises, it is removed. Raises `CacheError` if it cannot be made.
    """
    temporary = layout.new_temporary(key.digest)
    try:
        with reporting(f"make the directory to build {key} in", temporary):
            make_directory(layout.temporaries)
            (temporary / FILES).mkdir(parents=True)
        yield temporary
    except BaseException:
        # What cannot be removed now is a dead temporary, which a later sweep removes; the error
        # that is being raised matters more.
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def publish(layout: Layout, key: CacheKey, temporary: Path) -> None:
    """Give the finished and flushed directory `temporary` the name of `key`'s entry."""
    final = layout.entry(key)
    with reporting(f"publish {key}", final):
        make_directory(final.parent)
        temporary.rename(final)
        sync_directory(final.parent)


def build_entry(layout: Layout, key: CacheKey, build: Build) -> Manifest:
    """Build and publish `key`. The caller holds the key's lock.

    If anything raises, the private directory is removed and nothing is published. (If only the
    flush after the rename failed, the entry stays.) Raises what `build` raises, and `CacheError` if
    storing fails.
    """
    with private_directory(layout, key) as temporary:
        seconds = _run(build, temporary / FILES, key)
        manifest = _finish(temporary, key, seconds)
        publish(layout, key, temporary)
    return manifest
