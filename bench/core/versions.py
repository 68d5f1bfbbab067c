"""Versions of installed distributions, as cache keys and records need them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

__all__ = ["installed_version"]


@cache
def installed_version(distribution: str) -> str:
    """The version of an installed distribution. Raises PackageNotFoundError if it is absent.

    It is cached: looking it up parses the metadata, and a run asks hundreds of times.
    """
    return version(distribution)
