"""`bench history METRIC CELL`: a figure over the runs; `add` and `list` for the runs themselves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.default_verb import ShowsByDefault
from bench.core.text import counted

if TYPE_CHECKING:
    from bench.history.series import Selection
    from bench.history.store import HistoryStore

__all__ = ["commands"]

commands = typer.Typer(
    cls=ShowsByDefault,
    help="Show figures over all runs (`bench history METRIC CELL`), and since when they are so.",
    no_args_is_help=True,
)

StoreFile = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FILE",
        help="The history; default: that of the configuration, or results/history.sqlite.",
    ),
]
ConfigFile = Annotated[Path, typer.Option("--config", help="The configuration.")]
Branch = Annotated[str, typer.Option(help="Only runs of this git branch.")]
Since = Annotated[
    str, typer.Option(metavar="WHEN", help="Only runs from 2026-11-30 on, or of the last 30d.")
]
Limit = Annotated[int, typer.Option(min=0, help="Show this many of the last runs; 0: all.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, of all runs.")]

_CONFIG = Path("bench.toml")


@commands.command()
def show(  # noqa: PLR0913 (the options of a command)
    metric: Annotated[str, typer.Argument(help="Such as npu_cycles.")] = "npu_cycles",
    cell: Annotated[str, typer.Argument(help="A cell's id; with `*` (any text), many.")] = "*",
    branch: Branch = "",
    since: Since = "",
    limit: Limit = 20,
    as_json: AsJson = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with a chart of each cell instead."),
    ] = None,
    store: StoreFile = None,
    config: ConfigFile = _CONFIG,
) -> None:
    """Show a figure of a cell over the runs, with its steps and what changed there.

    For a pattern there is a line for each cell, with its last figure and its last step.
    """
    from bench.history.steps import find_steps, is_noisy
    from bench.report.history import SeriesView, overview_table, series_json, series_table

    found = _store(store, config).series(metric, cell, _selection(branch, since))
    views = [SeriesView(one, find_steps(one.points), is_noisy(one.points)) for one in found]
    if html is not None:
        _write_page(views, html)
    elif as_json:
        _print_json(series_json(views))
    elif not views:
        print("no run of this branch and time has the cell")
    elif "*" in cell:
        _print_tables(overview_table(views))
    else:
        _print_tables(series_table(views[0], limit))


@commands.command()
def add(
    runs: Annotated[list[Path], typer.Argument(help="Directories of runs: results/2*")],
    store: StoreFile = None,
    config: ConfigFile = _CONFIG,
) -> None:
    """Add runs: those of other machines, or of before there was a history.

    A run that is there already is there once. The exit status is 1 when one of them, or a file in
    one, cannot be read; the rest is added.
    """
    from bench.core.errors import BenchError
    from bench.core.text import one_line, printable
    from bench.history.rows import rows_of_run
    from bench.records.run_directory import RunDirectory
    from bench.report.run_view import read_run

    target = _store(store, config)
    whole = True
    for path in runs:
        directory = RunDirectory(path)
        try:
            view = read_run(directory)
            rows = rows_of_run(
                path.resolve().name,
                directory.manifest(),
                view.records,
                view.unmeasured,
                complete=view.complete,
            )
        except BenchError as error:
            print(f"bench: {printable(str(error))}", file=sys.stderr)
            whole = False
            continue
        done = target.append(rows)
        what = "was there already" if done.known else "added"
        cells = counted(done.cells, "cell")
        incomplete = "" if rows.run.complete else ", incomplete"
        print(one_line(f"{path}: {what}, {cells}{incomplete}"))
        for one in view.unreadable:
            print(f"bench: {one_line(str(path))}: {one}", file=sys.stderr)
            whole = False
    if not whole:
        raise typer.Exit(1)


@commands.command("list")
def list_runs(
    branch: Branch = "",
    since: Since = "",
    limit: Limit = 20,
    as_json: AsJson = False,
    store: StoreFile = None,
    config: ConfigFile = _CONFIG,
) -> None:
    """List the runs of the history."""
    from bench.report.history import runs_json, runs_table

    runs = _store(store, config).runs(_selection(branch, since))
    if as_json:
        _print_json(runs_json(runs))
    else:
        _print_tables(runs_table(runs[-limit:] if limit else runs))


def _write_page(views: list[Any], path: Path) -> None:
    from bench.core.errors import BenchError
    from bench.core.files import reason, write_atomically
    from bench.core.text import one_line
    from bench.report.html.library import chart_library
    from bench.report.html.trend import trend_page

    page = trend_page(views, chart_library())
    try:
        write_atomically(path, page)
    except OSError as error:
        raise BenchError(f"{path}: cannot be written: {reason(error)}") from error
    print(one_line(f"page {path}"))


def _store(store: Path | None, config: Path) -> HistoryStore:
    from bench.history.store import HISTORY_FILE, HistoryStore
    from bench.plan.config import load_config

    if store is None and (config.exists() or config != _CONFIG):
        store = load_config(config).history.path
    return HistoryStore(store or config.parent / "results" / HISTORY_FILE)


def _selection(branch: str, since: str) -> Selection:
    from bench.history.series import Selection

    return Selection(branch, _seconds(since) if since else None)


def _seconds(since: str) -> int:
    """Seconds since 1970 of a date, a time (UTC unless it says another zone), or `30d` ago."""
    from datetime import datetime, timedelta, timezone

    try:
        if since.endswith("d") and since[:-1].isdecimal():
            moment = datetime.now(timezone.utc) - timedelta(days=int(since[:-1]))
        else:
            moment = datetime.fromisoformat(since)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return int(moment.timestamp())
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{since!r} is neither a date (2026-11-30) nor a number of days (30d)",
            param_hint="--since",
        ) from None


def _print_tables(tables: list[Any]) -> None:
    import shutil

    from bench.report.table import render

    print(render(tables, shutil.get_terminal_size((170, 24)).columns), end="")


def _print_json(document: list[dict[str, Any]]) -> None:
    import json

    # Characters beyond ASCII are escaped, control characters among them.
    print(json.dumps(document, indent=1))
