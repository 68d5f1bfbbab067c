"""`bench layers CELL` and `bench trace CELL`: where the cycles of one cell go."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bench.cache import ArtefactCache, default_root
from bench.cli.finished_cell import compiled_model, find_record, timing_profile
from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.records.run_directory import RunDirectory
from bench.report.layers import layer_table
from bench.report.table import render

__all__ = ["register"]

_Cell = Annotated[str, typer.Argument(help="The cell's id; `bench cells` lists a grid.")]
_Run = Annotated[Path, typer.Option("--run", help="The run's directory.")]
_LATEST = Path("results/latest")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(layers)
    app.command()(trace)


def layers(
    cell: _Cell,
    run: _Run = _LATEST,
    width: Annotated[int, typer.Option(min=100, help="Columns of the table.")] = 150,
) -> None:
    """Show where the estimated cycles of a cell go, operation by operation, Vela's beside them."""
    record = find_record(RunDirectory(run), cell)
    if not record.measurement.layers:
        raise BenchError(
            f"{cell}: target {record.cell.target!r} does not tell where its cycles go",
            cure="measure the cell on target sim (--bench-target=sim)",
        )
    explanation = record.measurement.explanation
    print(render([layer_table(record), Text(explanation)], width), end="")


def trace(
    cell: _Cell,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file; default CELL.trace.json.")
    ] = None,
    run: _Run = _LATEST,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="The cache's directory; default $BENCH_CACHE or the user's."),
    ] = None,
) -> None:
    """Write the estimated timeline of one inference as a Chrome trace, for ui.perfetto.dev."""
    # Only this command needs the simulator.
    from targets.ethos_u55.ports import PortMap
    from targets.simulator.simulator import Simulator
    from targets.simulator.timing.trace import chrome_trace

    directory = RunDirectory(run)
    record = find_record(directory, cell)
    path = output or Path(f"{cell}.trace.json")
    _, profile = timing_profile(record, directory)
    model = compiled_model(record, ArtefactCache(cache or default_root(os.environ)))
    mode = record.cell.memory_mode
    simulator = Simulator(model, record.cell.macs, PortMap.for_memory_mode(mode))
    timing = simulator.timing(mode, profile)
    document = chrome_trace(timing, record.compilation.report.cycles_total)
    try:
        write_atomically(path, json.dumps(document) + "\n")
    except OSError as error:
        raise BenchError(
            f"{path}: the trace cannot be written: {error}", cure="name another file with -o FILE"
        ) from error
    print(
        f"{path}: {timing.npu_active:,} NPU cycles (estimate; Vela's: "
        f"{record.compilation.report.cycles_total:,}); open it in ui.perfetto.dev"
    )
