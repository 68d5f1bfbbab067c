"""`bench trace CELL`: the estimated timeline of one inference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import LATEST, CacheRoot, CellId, RunPath

__all__ = ["trace"]


def trace(
    cell: CellId,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file; default CELL.trace.json.")
    ] = None,
    run: RunPath = LATEST,
    cache: CacheRoot = None,
) -> None:
    """Write the estimated timeline of one inference.

    The file is a Chrome trace, for ui.perfetto.dev.
    """
    import json

    from bench.cli.cell.finished_cell import compiled_model, find_record, timing_profile
    from bench.cli.options import open_cache
    from bench.core.errors import BenchError
    from bench.core.files import write_atomically
    from bench.records.run_directory import RunDirectory
    from targets.ethos_u55.ports import PortMap
    from targets.simulator.simulator import Simulator
    from targets.simulator.timing.trace import chrome_trace

    directory = RunDirectory(run)
    record = find_record(directory, cell)
    path = output or Path(f"{cell}.trace.json")
    _, profile = timing_profile(record, directory)
    model = compiled_model(record, open_cache(cache))
    mode = record.cell.memory_mode
    simulator = Simulator(model, record.cell.macs, PortMap.for_memory_mode(mode))
    timing = simulator.timing(mode, profile)
    layers = {row.name: row.layer for row in record.measurement.layers}
    document = chrome_trace(timing, record.compilation.report.cycles_total, layers)
    try:
        write_atomically(path, json.dumps(document) + "\n")
    except OSError as error:
        raise BenchError(
            f"{path}: the trace cannot be written: {error.strerror}",
            cure="name another file with -o FILE",
        ) from error
    print(
        f"{path}: {timing.npu_active:,} NPU cycles (estimate; Vela's: "
        f"{record.compilation.report.cycles_total:,}); open it in ui.perfetto.dev"
    )
