"""`bench baseline`: accepted figures: make them, look at them, tidy them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import LATEST, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.baselines.accepted import AcceptedFigure, Baselines
    from bench.baselines.accepting import Change
    from bench.plan.config import BenchConfig
    from bench.plan.metrics import MetricName
    from bench.records.record import Record, SweepRecord

__all__ = ["commands"]

commands = typer.Typer(
    help="Accept figures, and look at the accepted ones. They are the files under baselines/: "
    "commit them, and every run is judged against them.",
    no_args_is_help=True,
)

_RUN = typer.Argument(help="The run's directory; by default the last one.")
_CELL = typer.Option(
    "--cell", help="Only cells that match this pattern, such as 'kws-*-u55_128-*'."
)
_DRY = typer.Option("--dry-run", help="Only show what it would do.")
_METRIC = typer.Option("--metric", help="Only this metric; may be repeated.")


@commands.command()
def accept(
    run: Annotated[Path, _RUN] = LATEST,
    reason: Annotated[
        str, typer.Option("--reason", help="Why the figures change; needed if one gets worse.")
    ] = "",
    cell: Annotated[str, _CELL] = "*",
    metric: Annotated[list[str] | None, _METRIC] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    config: ConfigFile = Path("bench.toml"),
) -> None:
    """Accept what a run measured.

    Figures that got worse need a reason, which stays with them. What does not change keeps its date
    and reason. Cells that the run did not measure stay as they are.
    """
    import datetime

    from bench.baselines.accepting import accept as accepted
    from bench.baselines.accepting import require_reason
    from bench.baselines.files import FileName, read_directory, update_files
    from bench.baselines.origins import by_file

    directory = _directory(config)
    records, sweeps = _measured(run, cell)
    chosen = _metrics(metric)
    measured = by_file(records, sweeps)
    today = datetime.datetime.now().astimezone().date()
    changes: list[Change] = []

    def change(name: FileName, before: Baselines) -> Baselines:
        done = accepted(before, *measured[name], reason=reason, today=today, metrics=chosen)
        changes.extend(done.changes)
        return done.after

    # First without writing, so that a missing reason leaves all files as they were.
    now = read_directory(directory, measured)
    for name in measured:
        change(name, now.of(*name))
    _print_changes(changes)
    if dry_run:
        return
    require_reason(changes, reason, 'say why: bench baseline accept --reason "..."')
    changes.clear()
    paths = update_files(directory, sorted(measured), change)
    for path in paths:
        print(f"written {path}")
    if not paths:
        print(f"every figure is as accepted in {directory}")


@commands.command()
def diff(
    run: Annotated[Path, _RUN] = LATEST,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="FILE|RUN|git:REV", help="Other figures than the accepted ones."
        ),
    ] = None,
    cell: Annotated[str, _CELL] = "*",
    metric: Annotated[list[str] | None, _METRIC] = None,
    config: ConfigFile = Path("bench.toml"),
) -> None:
    """Show how a run differs from the accepted figures, however little. Exit status 1 if it does.

    `pytest` judges: it knows what counts as a change. `bench compare` also names layers and causes.
    """
    import datetime
    import os

    from bench.baselines.accepting import accept as accepted
    from bench.baselines.files import read_directory
    from bench.baselines.origins import by_file, read_origin

    directory = _directory(config)
    records, sweeps = _measured(run, cell)
    chosen = _metrics(metric)
    measured = by_file(records, sweeps)
    before = (
        read_directory(directory, measured)
        if against is None
        else read_origin(against, directory, measured, os.environ)
    )
    changes: list[Change] = []
    for name, (cells, swept) in measured.items():
        done = accepted(
            before.of(*name), cells, swept, reason="", today=datetime.date.min, metrics=chosen
        )
        changes += done.changes
    _print_changes(changes)
    if changes:
        raise typer.Exit(1)
    print(f"every figure is as in {before.origin}")


@commands.command()
def show(
    cell: Annotated[str, typer.Argument(help="A cell's id, or a pattern with *.")] = "*",
    metric: Annotated[list[str] | None, _METRIC] = None,
    config: ConfigFile = Path("bench.toml"),
) -> None:
    """Show accepted figures, each with the date since when it stands and the reason."""
    from bench.baselines.files import all_files, read_directory
    from bench.core.errors import ConfigError
    from bench.core.text import printable

    directory = _directory(config)
    chosen = _metrics(metric)
    read = read_directory(directory, all_files(directory))
    found = False
    for baselines in read.files.values():
        for id_, accepted in sorted(baselines.cells.items()):
            lines = [
                _row(name.value, figure)
                for name, figure in accepted.figures.items()
                if name in chosen and _matches(id_, cell)
            ]
            if lines:
                found = True
                print(printable("\n".join([id_, *lines])))
    if not found:
        raise ConfigError(
            f"{directory} has no accepted figure of {cell!r}",
            cure="`bench baseline show` lists all; `bench baseline accept` accepts those of a run",
        )


def _row(metric: str, figure: AcceptedFigure) -> str:
    from bench.core.text import one_line
    from bench.records.figures import shown_number

    value = shown_number(figure.value, figure.unit)
    earlier = " (of an earlier build)" if figure.earlier else ""
    return f"  {metric:22}{value:>20}  since {figure.since}  {one_line(figure.reason)}{earlier}"


@commands.command()
def prune(
    dry_run: Annotated[bool, _DRY] = False,
    config: ConfigFile = Path("bench.toml"),
) -> None:
    """Remove the figures of cells and sweeps that are no longer in the grid.

    Those of other targets than the configured ones stay if the rest of the cell is in the grid.
    """
    from bench.baselines.files import FileName, all_files, update_files
    from bench.core.text import printable
    from bench.plan.grid import make_plan

    directory, settings = _directory(config), _settings(config)
    gone: list[str] = []

    def pruned(name: FileName, before: Baselines) -> Baselines:
        plan = make_plan(settings, name[:1])
        cells, sweeps = {cell.id for cell in plan.cells}, {sweep.id for sweep in plan.sweeps}
        gone.extend(id_ for id_ in (*before.cells, *before.sweeps) if id_ not in cells | sweeps)
        kept = before.model_copy(
            update={
                "cells": {id_: cell for id_, cell in before.cells.items() if id_ in cells},
                "sweeps": {id_: sweep for id_, sweep in before.sweeps.items() if id_ in sweeps},
            }
        )
        return before if dry_run else kept

    names = list(all_files(directory))
    if names:
        update_files(directory, names, pruned)
    for id_ in gone:
        print(printable(id_))
    verb = "would be removed" if dry_run else "removed"
    print(f"{len(gone)} {verb} from {directory}; they are not in the grid of {config}")


def _settings(config: Path) -> BenchConfig:
    from bench.plan.config import load_config

    return load_config(config)


def _directory(config: Path) -> Path:
    """Where the accepted figures of a configuration are."""
    return _settings(config).baselines.beside(config)


def _metrics(names: list[str] | None) -> tuple[MetricName, ...]:
    from bench.core.errors import ConfigError
    from bench.core.schema import suggest
    from bench.plan.metrics import MetricName

    known = [metric.value for metric in MetricName]
    for name in names or ():
        if name not in known:
            raise ConfigError(f"unknown metric {name!r}; {suggest(name, known)}")
    return tuple(metric for metric in MetricName if not names or metric.value in names)


def _measured(path: Path, pattern: str) -> tuple[list[Record], list[SweepRecord]]:
    """The cells of a run that match, and its sweeps if all cells are wanted."""
    from bench.core.errors import BenchError
    from bench.records.run_directory import RunDirectory

    run = RunDirectory(path)
    run.manifest()
    records, sweeps = run.records(), run.sweeps()
    if records.unreadable or sweeps.unreadable:
        damaged = (*records.unreadable, *sweeps.unreadable)[0]
        raise BenchError(f"{path}: {damaged}", cure="run again, or name another run")
    found = [record for record in records.found if _matches(record.cell.id, pattern)]
    if not found:
        raise BenchError(
            f"{path} has measured no cell that matches {pattern!r}",
            cure="`bench cells` lists the grid; `pytest -n auto` measures it",
        )
    return found, list(sweeps.found) if pattern == "*" else []


def _matches(id_: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(id_, pattern)


def _print_changes(changes: Iterable[Change]) -> None:
    from bench.core.text import printable

    for change in changes:
        print(printable(str(change)))
