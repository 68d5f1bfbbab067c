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
    """Print the tables of a finished run again.

    The run's merged JUnit file is written again too.
    """
    from bench.records.run_directory import RunDirectory
    from bench.report.junit import merged_junit
    from bench.report.table import render, unavailable_table, workload_tables

    directory = RunDirectory(run)
    records = directory.planned_records()
    sweeps, orders = directory.sweeps(), directory.orders()
    unavailable = directory.unavailable()
    tables = workload_tables(records, sweeps) + unavailable_table(unavailable)
    print(render(tables, width), end="")
    directory.write_junit(merged_junit(records, sweeps, orders, unavailable))
