"""`bench layers CELL`: where the cycles of one cell go."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.options import LATEST, CellId, RunPath

__all__ = ["layers"]


def layers(
    cell: CellId,
    run: RunPath = LATEST,
    width: Annotated[int, typer.Option(min=100, help="Columns of the table.")] = 150,
) -> None:
    """Show where the estimated cycles of a cell go.

    There is a row for each operation of the command stream, with Vela's estimate next to it.
    """
    from rich.text import Text

    from bench.cli.cell.finished_cell import find_record
    from bench.core.errors import BenchError
    from bench.records.run_directory import RunDirectory
    from bench.report.layers import layer_table
    from bench.report.table import render

    record = find_record(RunDirectory(run), cell)
    if not record.measurement.layers:
        raise BenchError(
            f"{cell}: target {record.cell.target!r} does not tell where its cycles go",
            cure="measure the cell on target sim (--bench-target=sim)",
        )
    explanation = record.measurement.explanation
    print(render([layer_table(record), Text(explanation)], width), end="")
