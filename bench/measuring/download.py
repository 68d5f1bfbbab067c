"""Fetching a file from an address, once, and only if its sha256 is the expected one."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from pathlib import Path

from bench.cache import ArtefactCache, CacheKey
from bench.core.errors import ModelError
from bench.core.files import write_atomically
from bench.measuring.progress import Sink, Task, waiting

__all__ = ["download", "fetch"]

#: Seconds without a byte after which a download is given up.
_TIMEOUT_S = 30


def download(cache: ArtefactCache, name: str, url: str, sha256: str, sink: Sink) -> Path:
    """The file at `url` from the cache, fetched when it is not there yet.

    Raises:
        ModelError: the address does not answer, or answers with other content.
    """

    def build(directory: Path) -> None:
        with Task.running("download", name, sink):
            fetch(url, sha256, directory / "model.tflite")

    entry = cache.get_or_build(
        CacheKey("download", {"sha256": sha256}), build, on_wait=waiting(name, sink)
    )
    return entry.path / "model.tflite"


def fetch(url: str, sha256: str, path: Path) -> None:
    """Write what `url` gives to `path`, provided its sha256 is `sha256`; else leave `path` alone.

    Raises:
        ModelError: the address does not answer, or answers with other content.
        OSError: `path` cannot be written.
    """
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "ethos-u55-bench"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:
            content: bytes = reply.read()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ModelError(
            f"{url}: cannot be downloaded: {error}",
            cure="download it where there is a network and name the file with `model = PATH`",
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ModelError(
            f"{url}: has sha256 {digest}, expected {sha256}",
            cure="the file at this address has changed: check it and state its new sha256",
        )
    write_atomically(path, content)
