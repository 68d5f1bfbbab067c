"""Options that several verbs share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.cache import ArtefactCache

__all__ = ["DEFAULT_CONFIG", "LATEST", "CacheRoot", "CellId", "ConfigFile", "RunPath", "open_cache"]

CacheRoot = Annotated[
    Path | None,
    typer.Option("--cache", help="The cache's directory; default $BENCH_CACHE or the user's."),
]
CellId = Annotated[str, typer.Argument(help="The cell's id; `bench cells` lists a grid.")]
ConfigFile = Annotated[Path, typer.Option("--config", help="The configuration.")]
RunPath = Annotated[Path, typer.Option("--run", help="The run's directory.")]

#: The configuration where the user is.
DEFAULT_CONFIG = Path("bench.toml")
#: The directory of the last run.
LATEST = Path("results/latest")


def open_cache(root: Path | None) -> ArtefactCache:
    """The artefact cache at `root`, or at its default place if the command line names none."""
    from bench.cache import ArtefactCache, default_root

    return ArtefactCache(root or default_root(os.environ))
