"""What a source of products gives: a manifest for a key, and the files that it lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from bench.cache.key import CacheKey
from bench.cache.manifest import FileRecord
from bench.core.errors import BenchError

__all__ = ["RemoteError", "Source", "UnreachableError"]


class RemoteError(BenchError):
    """A source gives nothing that can be used."""


class UnreachableError(RemoteError):
    """A source does not answer, or not in time."""


class Source(Protocol):
    """Where products can be had from. Nothing that it gives is trusted."""

    def manifest(self, key: CacheKey) -> bytes | None:
        """The manifest of `key` as it is on a disk; None if the source has no such product.

        Raises `RemoteError` for one that is too large, `UnreachableError` without an answer.
        """
        ...

    def pieces(self, record: FileRecord) -> Iterator[bytes]:
        """The content of a file in pieces, perhaps more than `record` says.

        Raises `RemoteError` if it is not there, `UnreachableError` without an answer.
        """
        ...
