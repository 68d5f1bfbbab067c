"""Where accepted figures can be read from: the directory, one file, a run, a git revision."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.baselines.accepted import Baselines, BaselineSet
from bench.baselines.accepting import accept
from bench.baselines.files import FileName, read_directory, read_file
from bench.baselines.revisions import GIT, read_revision
from bench.core.errors import BenchError
from bench.core.files import reason, write_atomically
from bench.records.reading import read_record
from bench.records.record import Record, SweepRecord
from bench.records.run_directory import RunDirectory

__all__ = ["by_file", "keep_with_run", "kept_with_run", "read_origin", "read_run_as_baselines"]


def read_origin(
    text: str, directory: Path, names: Iterable[FileName], environment: Mapping[str, str]
) -> BaselineSet:
    """The accepted figures that `--bench-baseline` and its like name.

    Args:
        text: a file of baselines, a directory of them, the directory of a run, or `git:REVISION`.
        directory: the configured directory of baselines, whose files a revision is asked for.
        names: the targets and workloads that are wanted.
        environment: this process's own, for git.

    Raises:
        BenchError: there is nothing of the kind, or it cannot be read.
    """
    if text.startswith(GIT):
        return read_revision(text.removeprefix(GIT), directory, names, environment)
    path = Path(text).expanduser()
    if (path / "run.json").is_file():
        return read_run_as_baselines(RunDirectory(path))
    if path.is_dir():
        return read_directory(path, names)
    if path.is_file():
        name = f"{path.resolve().parent.name}/{path.stem}"
        return BaselineSet(origin=str(path), files={name: read_file(path, str(path))})
    raise BenchError(
        f"{text}: is no baselines file, no directory of them, no run and no git:REVISION",
        cure="for example results/latest, baselines/sim/mnist_fc.toml or git:main",
    )


def by_file(
    records: Iterable[Record], sweeps: Iterable[SweepRecord]
) -> dict[FileName, tuple[list[Record], list[SweepRecord]]]:
    """Records and sweeps by the target and workload whose file they belong into."""
    found: dict[FileName, tuple[list[Record], list[SweepRecord]]] = {}
    of_cell: dict[str, FileName] = {}
    for record in records:
        name = record.cell.target, record.cell.workload
        found.setdefault(name, ([], []))[0].append(record)
        of_cell[record.cell.id] = name
    for sweep in sweeps:
        if sweep.cells and sweep.cells[0] in of_cell:
            found[of_cell[sweep.cells[0]]][1].append(sweep)
    return found


def read_run_as_baselines(run: RunDirectory) -> BaselineSet:
    """The figures of a run as if they were accepted, at its date.

    Raises `BenchError` if a record cannot be read: what is missing would not be compared.
    """
    records, sweeps = run.records(), run.sweeps()
    damaged = records.unreadable + sweeps.unreadable
    if damaged:
        raise BenchError(
            f"{run.path}: {damaged[0]}",
            cure="compare with another run, or with the baselines in version control",
        )
    day = _day(run.manifest().started)
    origin = os.fspath(run.path)
    files = {}
    for name, (cells, swept) in by_file(records.found, sweeps.found).items():
        empty = Baselines(origin=origin)
        files["/".join(name)] = accept(empty, cells, swept, reason="", today=day).after
    return BaselineSet(origin=origin, files=files)


def _day(started: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(started[:10])
    except ValueError:
        return datetime.date.min


def keep_with_run(run: RunDirectory, baselines: BaselineSet) -> None:
    """Keep what a run is judged against in its directory; its workers read it there.

    Raises `BenchError` if it cannot be written.
    """
    try:
        write_atomically(run.baselines, baselines.model_dump_json() + "\n")
    except OSError as error:
        raise BenchError(
            f"{run.baselines}: cannot be written: {error.strerror}",
            cure="make room or give access there, or name another place: --bench-results=DIR",
        ) from error


def kept_with_run(run: RunDirectory) -> BaselineSet:
    """What a run was judged against; nothing for a run from before there were baselines.

    Raises `BenchError` if it cannot be read.
    """
    try:
        return read_record(run.baselines, BaselineSet)
    except FileNotFoundError:
        return BaselineSet(origin="nothing")
    except (OSError, ValueError) as error:
        raise BenchError(f"{run.baselines}: cannot be read: {reason(error)}") from error
