"""What a user names to be compared: a run's directory, or a run below `results/`.

`RUN@5.0.0` stands for the cells of the run that this version of Vela compiled, under the names that
they have without it. So versions of Vela are compared, in one run or in two.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from bench.core.errors import ConfigError
from bench.history.side import Side, side_of_run
from bench.plan.cell import INSTALLED_VELA
from bench.records.run_directory import RunDirectory

__all__ = ["read_side"]

#: Where runs are kept if nothing else is said.
_RESULTS = Path("results")
#: The end of an id with a version of Vela.
_VERSION = re.compile(r"-vela_[0-9a-z_]+$")


def read_side(named: str) -> Side:
    """The figures that `named` stands for.

    Raises:
        ConfigError: it is nothing that can be compared.
        BenchError: it cannot be read.
    """
    path = _directory(named)
    if path is not None:
        return side_of_run(RunDirectory(path))
    run, mark, version = named.rpartition("@")
    path = _directory(run) if mark else None
    if path is not None:
        return _of_vela(side_of_run(RunDirectory(path)), named, version)
    raise ConfigError(
        f"{named!r} is no run: there is no directory {named} and no {_RESULTS / named}",
        cure="name the directory of a run, such as results/latest, or its name below results/",
    )


def _directory(named: str) -> Path | None:
    places = (Path(named), _RESULTS / named)
    return next((path for path in places if path.is_dir()), None)


def _of_vela(side: Side, named: str, version: str) -> Side:
    mark = f"-vela_{version.replace('.', '_')}"
    # The ids of the Vela that was installed beside the bench do not say which it was.
    installed = {
        record.compilation.vela_version
        for id_, record in side.records.items()
        if not _VERSION.search(id_)
    }

    def name(id_: str) -> str | None:
        """Without the version; None for a cell of another one."""
        if _VERSION.search(id_):
            return id_.removesuffix(mark) if id_.endswith(mark) else None
        return id_ if version == INSTALLED_VELA or version in installed else None

    cells = {short: cell for id_, cell in side.cells.items() if (short := name(id_)) is not None}
    if not cells:
        raise ConfigError(
            f"{side.name} has no cell of Vela {version}",
            cure="name a version of the run, such as @5.0.0, or @installed for that of the bench",
        )
    records = {
        short: record for id_, record in side.records.items() if (short := name(id_)) is not None
    }
    return replace(side, name=named, cells=cells, records=records)
