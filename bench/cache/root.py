"""Where the cache lives unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import platformdirs

__all__ = ["APPLICATION", "default_root"]

#: Name of the bench's directory beneath the user's cache directory.
APPLICATION = "ethos-u55-bench"


def default_root(environ: Mapping[str, str]) -> Path:
    """`$BENCH_CACHE`, absolute, or the user's cache directory (`~/.cache/ethos-u55-bench`).

    An empty `BENCH_CACHE` counts as unset: a blank line in a CI file must not turn the working
    directory into a cache. Nothing is created.
    """
    configured = environ.get("BENCH_CACHE", "")
    if configured:
        return Path(configured).expanduser().absolute()
    return platformdirs.user_cache_path(APPLICATION)
