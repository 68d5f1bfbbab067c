"""Accepted figures before and after a run: what it is judged against, and what it leaves accepted.

Only the controller is here. Workers read the copy in the run's directory, and never write.
"""

from __future__ import annotations

import datetime
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.assembly.session import RunSetup
from bench.baselines.accepted import Baselines, BaselineSet
from bench.baselines.accepting import Change, accept
from bench.baselines.files import FileName, read_directory, update_files
from bench.baselines.origins import by_file, read_origin
from bench.report.run_view import RunView

__all__ = ["baselines_of_run", "update_baselines"]


def baselines_of_run(setup: RunSetup, origin: str | None) -> BaselineSet:
    """What the run is judged against: its own baselines, or what `--bench-baseline` names.

    Raises `BenchError` if they cannot be read.
    """
    directory = setup.config.baselines.beside(setup.config_path)
    names = _file_names(setup)
    if origin is None:
        return read_directory(directory, names)
    return read_origin(origin, directory, names, os.environ)


def _file_names(setup: RunSetup) -> list[FileName]:
    return sorted({(cell.target, cell.workload) for cell in setup.plan().cells})


def update_baselines(setup: RunSetup, view: RunView, reason: str) -> list[str]:
    """Accept what the run measured, because of `reason`. Returns the lines that tell of it.

    Cells that were not measured keep what they have. Raises `BenchError` if a file cannot be
    written.
    """
    measured = by_file(view.records, view.sweeps)
    changes: list[Change] = []

    def change(name: FileName, before: Baselines) -> Baselines:
        records, sweeps = measured[name]
        today = datetime.datetime.now().astimezone().date()
        done = accept(before, records, sweeps, reason=reason, today=today)
        changes.extend(done.changes)
        return done.after

    directory = setup.config.baselines.beside(setup.config_path)
    paths = update_files(directory, sorted(measured), change)
    return _told(changes, paths, directory)


def _told(changes: Sequence[Change], paths: Sequence[Path], directory: Path) -> list[str]:
    kinds = Counter(change.kind.value for change in changes)
    if not paths:
        return [f"baselines: every figure is as accepted in {directory}"]
    counts = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    files = ", ".join(path.relative_to(directory).as_posix() for path in paths)
    return [f"baselines: {counts or 'no figure'} accepted into {directory}: {files}"]
