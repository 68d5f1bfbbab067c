"""How our packages are called, and where they are.

In a checkout they are `bench`, `models` and `targets`. Installed they are inside of one package, so
that they leave these names to the user: `ethos_u55_bench.bench` and so on. Names in keys and
records are without the prefix, so they are the same in both.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["PACKAGES", "PREFIX", "ROOT", "own_name", "short_name"]

#: Our packages, by their short names.
PACKAGES = ("bench", "models", "targets")

#: What stands before the short names: nothing, or `ethos_u55_bench.`
PREFIX = __name__.removesuffix("bench.core.own_names")

#: The directory that holds our packages and `tests/regression`.
ROOT = Path(__file__).resolve().parents[2]


def own_name(short: str) -> str:
    """The name to import, of the module with the short name `short`."""
    return PREFIX + short


def short_name(name: str) -> str:
    """The short name of our module `name`; other names are unchanged."""
    return name.removeprefix(PREFIX)
