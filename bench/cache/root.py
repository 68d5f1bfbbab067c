"""Where the cache lives unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import platformdirs

from bench.core.errors import CacheError
from bench.core.files import expanded

__all__ = ["APPLICATION", "default_root"]

#: Name of the bench's directory beneath the user's cache directory.
APPLICATION = "ethos-u55-bench"


def default_root(environ: Mapping[str, str]) -> Path:
    """`$BENCH_CACHE`, absolute, or the user's cache directory (`~/.cache/ethos-u55-bench`).

    An empty `BENCH_CACHE` counts as unset: a blank line in a CI file must not turn the working
    directory into a cache. Nothing is created.

    Raises:
        CacheError: the user has no cache directory: no HOME is set, and the system knows none.
        ConfigError: `$BENCH_CACHE` begins with the home of somebody who has none.
    """
    configured = environ.get("BENCH_CACHE", "")
    if configured:
        return expanded(Path(configured)).absolute()
    try:
        root = platformdirs.user_cache_path(APPLICATION)
    except RuntimeError:
        root = Path()
    # Older releases of platformdirs leave `~/.cache` as it is where nobody knows what ~ is.
    if not root.is_absolute():
        raise CacheError(
            "cache: this user has no home directory, so none for the cache",
            cure="set BENCH_CACHE (or HOME) to a directory on a local disk",
        )
    return root
