"""A remote cache below the local one: with it a run is faster; without it, only slower."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from bench.cache.key import CacheKey
from bench.cache.layout import Layout
from bench.cache.manifest import Manifest
from bench.cache.remote.receiving import receive
from bench.cache.remote.source import RemoteError, Source, UnreachableError
from bench.core.logging import logger

__all__ = ["RemoteCache"]

_LOG = logger(__name__)

#: A store that does not answer is left alone for this long, or each product would wait for it.
_REST_S: Final = 60.0


class RemoteCache:
    """Asks a source for what is not here. Its failures are logged as warnings, each kind once."""

    def __init__(
        self, source: Source, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`name` is for people, without secrets."""
        self._source = source
        self._name = name
        self._clock = clock
        self._rests_until = float("-inf")
        self._told: set[type[RemoteError]] = set()
        #: Digests of what the source has not got, or only damaged.
        self._without: set[str] = set()

    def may_have(self, key: CacheKey) -> bool:
        """Whether it is worth asking for `key` now."""
        return key.digest not in self._without and self._clock() >= self._rests_until

    def receive(self, layout: Layout, key: CacheKey) -> Manifest | None:
        """The product, now in the cache of `layout`; None if it cannot be had.

        The caller holds the key's lock. Raises `CacheError` if it cannot be stored.
        """
        if not self.may_have(key):
            return None
        try:
            manifest = receive(layout, key, self._source)
        except UnreachableError as error:
            self._rests_until = self._clock() + _REST_S
            self._tell(
                UnreachableError, f"does not answer, so products are made here ({error.what})"
            )
            return None
        except RemoteError as error:
            self._without.add(key.digest)
            self._tell(RemoteError, f"has a damaged product, which is made here ({error.what})")
            return None
        if manifest is None:
            self._without.add(key.digest)
        return manifest

    def _tell(self, kind: type[RemoteError], text: str) -> None:
        tell = _LOG.info if kind in self._told else _LOG.warning
        self._told.add(kind)
        tell("remote cache %s %s", self._name, text)
