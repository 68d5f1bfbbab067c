"""A cell measured by a run of the bench in a process of its own, for searches over versions."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BenchError, ConfigError
from bench.core.main_job import SUITES_DIRECTORY, main_job_command
from bench.core.own_names import PREFIX, ROOT
from bench.core.processes import Bounds, TimedOutError, ended_words, run_to_end
from bench.core.text import one_line
from bench.history.bisect import Measured
from bench.judging.suites import suite_of
from bench.plan.metrics import MetricName, describe
from bench.records.figures import Absent, Number
from bench.records.metric_values import metric_value
from bench.records.provenance import first_cause, provenance_of
from bench.records.run_directory import RunDirectory

__all__ = ["ChildRuns", "cause_between", "own_root"]

_SUITES = Path("tests", "regression")
#: Variables that would make the child believe to be a part of a run of pytest.
_OF_PYTEST = re.compile("PYTEST_|XDIST")


def own_root() -> Path:
    """Where this bench and its regression suites are.

    Raises `ConfigError` if the suites are not there.
    """
    if not SUITES_DIRECTORY.is_dir():
        raise ConfigError(
            f"{ROOT} has no {_SUITES}, which measure a cell", cure="install the bench again"
        )
    return ROOT


@dataclass(frozen=True)
class ChildRuns:
    """Runs of the bench that measure one metric of a cell."""

    metric: MetricName
    #: Where runs are kept.
    directory: Path
    cache: Path
    #: Of one run.
    seconds: float
    environment: Mapping[str, str]

    def measure(
        self, cell: str, root: Path, config: Path, name: str, options: Sequence[str] = ()
    ) -> Measured:
        """The figure of `cell`, by the bench at `root` with the configuration at `config`.

        The run is kept under `name`. A failed verdict is no obstacle: only the figure counts.
        """
        suite = suite_of(self.metric.value)
        test = _SUITES / f"test_{suite}.py"
        if not (root / test).is_file():
            return _unknown(f"its bench has no {test}")
        if not config.is_file():
            return _unknown(f"it has no {config.name}")
        results = self.directory / name
        arguments = [
            *("-q", "-p", "no:cacheprovider"),
            *(f"--bench-config={config}", f"--bench-results={results}"),
            *(f"--bench-cache={self.cache}", *options, f"{test}::test_{suite}[{cell}]"),
        ]
        environment = {k: v for k, v in self.environment.items() if not _OF_PYTEST.match(k)}
        if root == ROOT:
            # A search repeats the past, so it has no place in the history of runs. What the bench
            # of an older version keeps is beside its run.
            history = f"--bench-history={self.directory / 'history.sqlite'}"
            command = main_job_command(self.directory, [history, *arguments])
        else:
            command = [sys.executable, "-m", "pytest", *arguments]
        if not PREFIX or root != ROOT:
            # The bench of the version, wherever another one is installed.
            environment["PYTHONPATH"] = str(root)
        try:
            ended = run_to_end(command, Bounds(self.seconds), cwd=root, environment=environment)
        except TimedOutError:
            return _unknown(f"it did not end within {self.seconds / 60:g} minutes")
        run = RunDirectory((results / "latest").resolve())
        if not (run.path / "cells" / f"{cell}.json").is_file():
            told = _reason(run, cell, ended.output + ended.errors, ended.status)
            return _unknown(told.replace(f"{config.parent}/", "").replace(f"{root}/", ""))
        return self._read(run, cell)

    def _read(self, run: RunDirectory, cell: str) -> Measured:
        kept = run.path.relative_to(self.directory.resolve()).as_posix()
        try:
            value = metric_value(run.record(cell), self.metric)
        except BenchError as error:
            return _unknown(error.what)
        if isinstance(value, Absent):
            return Measured(figure=Absent(reason=value.reason or "nobody says why"), run=kept)
        return Measured(figure=Number(value=value, unit=describe(self.metric).unit), run=kept)


def cause_between(before: Path, after: Path) -> str:
    """The first cause by which the only cells of two runs differ.

    It is empty if there is none, or if a run is no longer there.
    """
    records = [RunDirectory(path).records().found for path in (before, after)]
    if [len(found) for found in records] != [1, 1]:
        return ""
    cause = first_cause(*(provenance_of(found[0]) for found in records))
    return "" if cause is None else str(cause)


def _unknown(reason: str) -> Measured:
    return Measured(figure=Absent(reason=one_line(reason)))


def _reason(run: RunDirectory, cell: str, output: str, status: int) -> str:
    """Why a run has no record of `cell`."""
    for record in run.unmeasured().found:
        if record.cell.id == cell:
            return record.reason
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    told = (errors or lines[-1:] or [ended_words(status)])[0]
    return told.removeprefix("ERROR: ")[:400]
