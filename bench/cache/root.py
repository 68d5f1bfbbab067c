"""The default place of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import platformdirs

from bench.core.errors import CacheError
from bench.core.files import expanded

__all__ = ["APPLICATION", "default_remote", "default_root"]

#: Name of the bench's directory in the user's cache directory.
APPLICATION = "ethos-u55-bench"


def default_root(environ: Mapping[str, str]) -> Path:
    """`$BENCH_CACHE`, absolute, or the user's cache directory (`~/.cache/ethos-u55-bench`).

    An empty `BENCH_CACHE` counts as unset, because an empty value in a CI file must not turn the
    working directory into a cache. Nothing is created.

    Raises:
        CacheError: the user has no cache directory: HOME is not set, and the system knows none.
        ConfigError: `$BENCH_CACHE` begins with the home of a user who has none.
    """
    configured = environ.get("BENCH_CACHE", "")
    if configured:
        return expanded(Path(configured)).absolute()
    try:
        root = platformdirs.user_cache_path(APPLICATION)
    except RuntimeError:
        root = Path()
    # Older releases of platformdirs return `~/.cache` unchanged if ~ is unknown.
    if not root.is_absolute():
        raise CacheError(
            "cache: this user has no home directory, so none for the cache",
            cure="set BENCH_CACHE (or HOME) to a directory on a local disk",
        )
    return root


def default_remote(environ: Mapping[str, str]) -> str:
    """The address in `$BENCH_CACHE_REMOTE`; empty for no remote cache."""
    return environ.get("BENCH_CACHE_REMOTE", "")
