"""`bench report RUN`: the tables of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import LATEST

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="The run's directory.")] = LATEST,
    width: Annotated[int, typer.Option(min=150, help="Columns of the table.")] = 170,
) -> None:
    """Print the tables of a finished run and write its JUnit file again.

    The exit status is 1 when a file of the run cannot be read; the rest is reported.
    """
    from bench.records.run_directory import RunDirectory
    from bench.report.run_view import read_run, write_junit
    from bench.report.table import render, unmeasured_table, unreadable_table, workload_tables

    directory = RunDirectory(run)
    view = read_run(directory)
    tables = workload_tables(view.records, view.sweeps)
    tables += unmeasured_table(view.unmeasured) + unreadable_table(view.unreadable)
    print(render(tables, width), end="")
    write_junit(directory, view)
    if view.unreadable:
        raise typer.Exit(1)
