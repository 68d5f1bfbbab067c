"""The `bench` command: what is not a test run. Test runs are `pytest`."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench import __version__
from bench.cache import ArtefactCache, default_root
from bench.cli import cell_commands
from bench.core.errors import BenchError, ConfigError
from bench.core.schema import suggest
from bench.core.units import KIB
from bench.measuring.download import fetch
from bench.plan.config import load_config
from bench.plan.grid import make_plan
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from bench.report.junit import merged_junit
from bench.report.table import render, unavailable_table, workload_tables
from models.zoo import zoo_models

__all__ = ["app"]

_app = typer.Typer(
    name="bench",
    help="Ethos-U55 regression bench. The measurements themselves are made by `pytest -n auto`.",
    no_args_is_help=True,
    add_completion=False,
)
_cache_app = typer.Typer(help="Look at and tidy the artefact cache.", no_args_is_help=True)
_zoo_app = typer.Typer(help="Public models to measure.", no_args_is_help=True)
cell_commands.register(_app)
_app.add_typer(_cache_app, name="cache")
_app.add_typer(_zoo_app, name="zoo")

_CacheRoot = Annotated[
    Path | None,
    typer.Option("--cache", help="The cache's directory; default $BENCH_CACHE or the user's."),
]


def app() -> None:
    """Run the command line; an error becomes one message on stderr and exit status 2."""
    try:
        _app()
    except (BenchError, OSError) as error:
        # An OSError says itself which file and what is wrong with it.
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)


@_app.command()
def version() -> None:
    """Print the bench's version."""
    print(__version__)


@_app.command()
def cells(
    config: Annotated[Path, typer.Option(help="The configuration.")] = Path("bench.toml"),
) -> None:
    """List the cells of the grid, one id a line."""
    for cell in make_plan(load_config(config)).cells:
        print(cell.id)


@_app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The run's directory.")] = Path("results/latest"),
    width: Annotated[int, typer.Option(min=150, help="Columns of the table.")] = 170,
) -> None:
    """Print the tables of a finished run again and rewrite its merged JUnit file."""
    directory = RunDirectory(run)
    records = directory.planned_records()
    sweeps, orders = directory.sweeps(), directory.orders()
    unavailable = directory.unavailable()
    tables = workload_tables(records, sweeps) + unavailable_table(unavailable)
    print(render(tables, width), end="")
    directory.write_junit(merged_junit(records, sweeps, orders, unavailable))


@_app.command()
def schema() -> None:
    """Print the JSON Schema of a cell's record."""
    print(json.dumps(Record.model_json_schema(), indent=2, sort_keys=True))


@_app.command()
def doctor(
    target: Annotated[
        list[str] | None, typer.Option(help="Look at this target; default: the configured ones.")
    ] = None,
    config: Annotated[Path, typer.Option(help="The configuration.")] = Path("bench.toml"),
    boot: Annotated[
        bool, typer.Option("--boot", help="Also boot a board, to read its NPU. Takes minutes.")
    ] = False,
) -> None:
    """Check what a run on each target needs, say what to do; status 1 if something is missing."""
    # Only this command needs every target.
    from bench.cli.doctor import BENCH, examine, lines_of
    from targets.checkup import State
    from targets.registry import CHECKUPS

    settings = load_config(config)
    for name in target or ():
        if name not in CHECKUPS:
            raise ConfigError(f"unknown target {name!r}; {suggest(name, list(CHECKUPS))}")
    chosen = tuple(target or settings.grid.targets)
    heading, bad = "", 0
    for place, finding in examine(chosen, settings.targets, boot=boot):
        if place != heading:
            heading = place
            print(place if place == BENCH else f"target {place}")
        print("\n".join(lines_of(finding)), flush=True)
        bad += finding.state is State.MISSING
    if bad:
        print(f"{bad} missing")
        raise typer.Exit(1)
    print("nothing is missing")


@_app.command()
def disasm(
    model: Annotated[Path, typer.Argument(help="What Vela wrote: a .tflite or a raw .npz.")],
    debug_db: Annotated[
        Path | None,
        typer.Option(
            help="What vela --enable-debug-db wrote, for the layers' names. By default "
            "MODEL_debug.xml, if it is beside MODEL_vela.tflite.",
        ),
    ] = None,
) -> None:
    """Print the command streams of a compiled model: layer by layer, operation by operation."""
    # Only this command needs the simulator.
    from targets.artefact import load_artefact
    from targets.artefact.disassembly import disassemble
    from targets.artefact.layers import debug_database, read_layers

    beside = debug_database(model)
    database = debug_db or (beside if beside.is_file() else None)
    layers = () if database is None else read_layers(database)
    print(disassemble(load_artefact(model), layers), end="")


@_cache_app.command("info")
def cache_info(cache: _CacheRoot = None) -> None:
    """Show how many entries of each kind there are and what they take."""
    store = ArtefactCache(cache or default_root(os.environ))
    table = Table("kind", "entries", "KiB", title=f"artefact cache {store.root}")
    stats = store.stats()
    rows = {**stats.kinds, "quarantine": stats.quarantine, "unfinished": stats.temporaries}
    for kind, usage in rows.items():
        table.add_row(kind, f"{usage.entries:,}", f"{usage.bytes / KIB:,.0f}")
    Console().print(table)


@_cache_app.command("verify")
def cache_verify(cache: _CacheRoot = None) -> None:
    """Check every entry against its sha256 sums; exit status 1 when something is wrong."""
    store = ArtefactCache(cache or default_root(os.environ))
    store.sweep()
    problems = store.verify()
    for problem in problems:
        print(problem)
    if problems:
        raise typer.Exit(1)
    print(f"{store.root}: clean")


@_cache_app.command("gc")
def cache_gc(
    max_age_days: Annotated[
        float | None, typer.Option(min=0, help="Remove entries unused for longer.")
    ] = None,
    max_mib: Annotated[
        float | None, typer.Option(min=0, help="Remove the least recently used beyond this size.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    cache: _CacheRoot = None,
) -> None:
    """Remove what killed processes left, damaged entries, and what is old or too much."""
    store = ArtefactCache(cache or default_root(os.environ))
    outcome = store.gc(
        max_age=None if max_age_days is None else timedelta(days=max_age_days),
        max_bytes=None if max_mib is None else int(max_mib * KIB * KIB),
        dry_run=dry_run,
    )
    verb = "would remove" if dry_run else "removed"
    print(
        f"{verb} {len(outcome.removed)} entries, {outcome.freed / KIB:,.0f} KiB; "
        f"{outcome.kept.entries} stay, {outcome.kept.bytes / KIB:,.0f} KiB"
    )


@_zoo_app.command("list")
def zoo_list() -> None:
    """List the public models the project knows, with address, licence and sha256."""
    for model in zoo_models():
        print(f"{model.name}\n  {model.url}\n  sha256 {model.sha256}\n  {model.licence}")


@_zoo_app.command("fetch")
def zoo_fetch(
    directory: Annotated[Path, typer.Argument(help="Where the models go.")] = Path("zoo"),
    names: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="Only this one; may be repeated."),
    ] = None,
) -> None:
    """Download the public models, each checked against its sha256."""
    models = {model.name: model for model in zoo_models()}
    for name in names or ():
        if name not in models:
            raise ConfigError(f"unknown model {name!r}; {suggest(name, list(models))}")
    directory.mkdir(parents=True, exist_ok=True)
    for name in names or models:
        path = directory / f"{name}.tflite"
        if models[name].matches(path):
            print(f"{path}: already there")
            continue
        print(f"{path}: from {models[name].url}", flush=True)
        fetch(models[name].url, models[name].sha256, path)
        print(f"{path}: {path.stat().st_size / KIB:,.0f} KiB")
