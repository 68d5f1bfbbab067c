"""A model from an address, downloaded once and kept in the cache."""

from __future__ import annotations

from pathlib import Path

from bench.cache import ArtefactCache, CacheKey
from bench.core.download import fetch
from bench.measuring.progress import Sink, Task, waiting

__all__ = ["download"]

_FILE = "model.tflite"


def download(cache: ArtefactCache, name: str, url: str, sha256: str, sink: Sink) -> Path:
    """The file at `url` from the cache, fetched when it is not there yet.

    Raises:
        DownloadError: the address does not answer, or answers with other content.
    """

    def build(directory: Path) -> None:
        with Task.running("download", name, sink):
            (directory / _FILE).write_bytes(fetch(url, sha256))

    entry = cache.get_or_build(
        CacheKey("download", {"sha256": sha256}), build, on_wait=waiting(name, sink)
    )
    return entry.file(_FILE)
