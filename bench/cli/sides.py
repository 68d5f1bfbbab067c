"""What a user names to be compared: a run's directory, or a run below `results/`."""

from __future__ import annotations

from pathlib import Path

from bench.core.errors import ConfigError
from bench.history.side import Side, side_of_run
from bench.records.run_directory import RunDirectory

__all__ = ["read_side"]

#: Where runs are kept if nothing else is said.
_RESULTS = Path("results")


def read_side(named: str) -> Side:
    """The figures that `named` stands for.

    Raises:
        ConfigError: it is nothing that can be compared.
        BenchError: it cannot be read.
    """
    for path in (Path(named), _RESULTS / named):
        if path.is_dir():
            return side_of_run(RunDirectory(path))
    raise ConfigError(
        f"{named!r} is no run: there is no directory {named} and no {_RESULTS / named}",
        cure="name the directory of a run, such as results/latest, or its name below results/",
    )
