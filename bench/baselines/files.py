"""The files `<directory>/<target>/<workload>.toml`: all read, each replaced at once."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.baselines.accepted import Baselines, BaselineSet
from bench.baselines.text import parse, render
from bench.core.errors import BenchError
from bench.core.files import read_regular, write_atomically

__all__ = ["FileName", "all_files", "path_of", "read_directory", "read_file", "update_files"]

#: Of one file, in bytes: far above the largest grid.
MOST_BYTES = 1 << 28
#: Seconds to wait for another process, and between two looks.
_LOCK_S = 60
_LOOK_S = 0.05


#: Target and workload, which name a file.
FileName = tuple[str, str]


def read_file(path: Path, origin: str) -> Baselines:
    """The figures in the file at `path`. Raises `BenchError` if it is no baselines file."""
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8")
        return parse(text, origin)
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read: {error.strerror}",
            cure="name a file that `bench baseline accept` wrote, or the directory of a run",
        ) from error
    except ValueError as error:
        raise BenchError(
            f"{path}: is no baselines file: {error}",
            cure="restore it from version control, or accept a run again: bench baseline accept",
        ) from error


def read_directory(directory: Path, names: Iterable[FileName]) -> BaselineSet:
    """The figures of these targets and workloads; what has no file has no figures.

    Raises `BenchError` if a file is damaged: without it, its gates would be open.
    """
    paths = {name: path_of(directory, name) for name in names}
    return BaselineSet(
        origin=str(directory),
        files={
            "/".join(name): read_file(path, str(path))
            for name, path in paths.items()
            if path.exists()
        },
    )


def path_of(directory: Path, name: FileName) -> Path:
    """Where the figures of a target and workload are."""
    target, workload = name
    return directory / target / f"{workload}.toml"


def all_files(directory: Path) -> Iterator[FileName]:
    """The targets and workloads that have a file, sorted."""
    for path in sorted(directory.glob("*/*.toml")):
        yield path.parent.name, path.stem


def update_files(
    directory: Path, names: Iterable[FileName], change: Callable[[FileName, Baselines], Baselines]
) -> tuple[Path, ...]:
    """Replace each file by what `change` makes of it. Returns the paths of those that changed.

    Each file is replaced at once, so a process that is killed leaves the old or the new one. A
    second process that updates the same directory waits. Raises `BenchError` if one is damaged or
    cannot be written, or the other process does not end.
    """
    changed = []
    with _locked(directory):
        for name in names:
            path = path_of(directory, name)
            before = read_file(path, str(path)) if path.exists() else Baselines(origin=str(path))
            after = change(name, before)
            if after.cells == before.cells and after.sweeps == before.sweeps and path.exists():
                continue
            _write(path, after)
            changed.append(path)
    return tuple(changed)


def _write(path: Path, baselines: Baselines) -> None:
    text = render(baselines.cells, baselines.sweeps)
    # What cannot be read back must not replace what could.
    back = parse(text, baselines.origin)
    if (back.cells, back.sweeps) != (baselines.cells, baselines.sweeps):
        raise BenchError(f"{path}: is not written, as it would read back as other figures")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if baselines.cells or baselines.sweeps:
            write_atomically(path, text)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> BenchError:
    return BenchError(
        f"{path}: cannot be written: {error.strerror}",
        cure="make room or give access there, or name another place: [baselines] directory",
    )


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time. The directory itself is locked, so no file is left for git to see."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        _wait_for(descriptor, directory)
        yield
    finally:
        # Which also unlocks it.
        os.close(descriptor)


def _wait_for(descriptor: int, directory: Path) -> None:
    until = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise BenchError(
                    f"{directory}: another process has been updating these baselines for "
                    f"{_LOCK_S} s",
                    cure="wait for it, or end it",
                ) from None
        except OSError as error:
            raise _unwritable(directory, error) from error
        time.sleep(_LOOK_S)
