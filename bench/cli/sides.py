"""What a user names to be compared: a run, or accepted figures.

A run is its directory or its name below `results/`. Accepted figures are a file of baselines, a
directory of them, or `git:REVISION`, which means the files of the configured directory as that
revision has them.

`RUN@5.0.0` stands for the cells of the run that this version of Vela compiled, under the names that
they have without it. So versions of Vela are compared, in one run or in two.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from bench.baselines.files import all_files
from bench.baselines.origins import read_origin
from bench.baselines.revisions import GIT, files_of_revision, read_revision
from bench.core.errors import ConfigError
from bench.history.side import Side, side_of_baselines, side_of_run
from bench.plan.cell import INSTALLED_VELA
from bench.plan.config import load_config
from bench.records.run_directory import RunDirectory

__all__ = ["read_side"]

#: Where runs are kept if nothing else is said.
_RESULTS = Path("results")
#: The manifest, without which a directory is no run.
_RUN_FILE = "run.json"
#: The end of an id with a version of Vela.
_VERSION = re.compile(r"-vela_[0-9a-z_]+$")


def read_side(named: str, config: Path) -> Side:
    """The figures that `named` stands for. `config` says where baselines are.

    Raises:
        ConfigError: it is nothing that can be compared.
        BenchError: it cannot be read.
    """
    if named.startswith(GIT):
        return _of_revision(named, load_config(config).baselines.beside(config))
    path = _directory(named)
    if path is not None:
        return side_of_run(RunDirectory(path))
    run, mark, version = named.rpartition("@")
    path = _directory(run) if mark else None
    if path is not None:
        return _of_vela(side_of_run(RunDirectory(path)), named, version)
    accepted = Path(named)
    if named and (accepted.is_file() or any(all_files(accepted))):
        files = all_files(accepted) if accepted.is_dir() else ()
        return side_of_baselines(read_origin(named, accepted, files, os.environ), named)
    raise ConfigError(
        f"{named!r} is neither a run nor a file of baselines: there is no such file, and no "
        f"{_RUN_FILE} in {named or '.'} or {_RESULTS / named}",
        cure="name the directory of a run, such as results/latest, its name below results/, a file "
        f"or directory of baselines, or a revision: {GIT}main",
    )


def _of_revision(named: str, directory: Path) -> Side:
    text = named.removeprefix(GIT)
    files = files_of_revision(text, directory, os.environ)
    if not files:
        raise ConfigError(
            f"{named} has no baselines in {directory}",
            cure="name a revision that has some, or the directory: [baselines] directory",
        )
    return side_of_baselines(read_revision(text, directory, files, os.environ), named)


def _directory(named: str) -> Path | None:
    places = (Path(named), _RESULTS / named)
    return next((path for path in places if (path / _RUN_FILE).is_file()), None)


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
