"""What code contributes to a cache key: change how a product is made, make it anew."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

__all__ = ["installed_version", "source_fingerprint"]


@cache
def installed_version(distribution: str) -> str:
    """The version of an installed distribution. Raises PackageNotFoundError where it is absent.

    Looking it up means parsing its metadata, and a run asks hundreds of times.
    """
    return version(distribution)


@cache
def source_fingerprint(name: str) -> str:
    """sha256 over the sources of the module or package `name`, sub-packages included.

    The package's modules are read, not imported. Raises ModuleNotFoundError for a name that
    is none.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source for {name!r}", name=name)
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(origin.parent).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()
