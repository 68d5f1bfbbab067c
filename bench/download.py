"""Fetching a file from an address, once, and only if its sha256 is the expected one."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path

from bench.cache import ArtefactCache, CacheKey
from bench.errors import ModelError
from bench.progress import Sink, Task, waiting

__all__ = ["download", "fetch"]

_CHUNK = 1 << 16
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
    """Write what `url` gives to `path`, provided its sha256 is `sha256`.

    Raises:
        ModelError: the address does not answer, or answers with other content; `path` is gone.
    """
    digest = hashlib.sha256()
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "ethos-u55-bench"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply, path.open("wb") as file:
            while chunk := reply.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
    except (urllib.error.URLError, OSError, ValueError) as error:
        path.unlink(missing_ok=True)
        raise ModelError(
            f"{url}: cannot be downloaded: {error}",
            cure="download it where there is a network and name the file with `model = PATH`",
        ) from error
    if digest.hexdigest() != sha256:
        path.unlink()
        raise ModelError(
            f"{url}: has sha256 {digest.hexdigest()}, expected {sha256}",
            cure="the file at this address has changed: check it and state its new sha256",
        )
