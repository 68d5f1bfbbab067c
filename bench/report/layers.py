"""Where the cycles of one cell go: a row for each operation of the command stream."""

from __future__ import annotations

from rich.table import Table

from bench.core.text import one_line
from bench.plan.metrics import MetricName
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.record import Record
from targets.protocol import LayerCycles

__all__ = ["layer_table"]


def layer_table(record: Record) -> Table:
    """The table of `record`, which must have layers. All cycles are estimates, Vela's too."""
    cycles = metric_value(record, MetricName.NPU_CYCLES)
    shown = "no" if isinstance(cycles, Absent) else f"{cycles:,.0f}"
    table = Table(
        title=f"{one_line(record.cell.id)}: {shown} NPU cycles (estimate; Vela's: "
        f"{record.compilation.report.cycles_total:,})",
        caption="All cycles are estimates. Compute, weight decode, flash, SRAM and issue overlap; "
        "total is what an operation adds. Vela's estimate is shown at a layer's first operation.",
        title_justify="left",
        caption_justify="left",
        header_style="bold",
    )
    table.add_column("layer", no_wrap=True)
    table.add_column("operation", no_wrap=True)
    for heading in ("compute", "weight decode", "flash", "SRAM", "issue", "total", "%", "Vela"):
        table.add_column(heading, justify="right")
    table.add_column("bound by", no_wrap=True)
    whole = sum(row.total for row in record.measurement.layers) or 1
    last = ""
    for row in record.measurement.layers:
        # A layer with several operations is named once.
        layer = one_line(row.layer) if row.layer != last else ""
        table.add_row(layer, one_line(row.name), *_figures(row, whole))
        last = row.layer
    return table


def _figures(row: LayerCycles, whole: int) -> list[str]:
    parts = (row.compute, row.weight_decode, row.flash, row.sram, row.issue, row.total)
    vela = "" if row.vela_cycles is None else f"{row.vela_cycles:,}"
    return [*(f"{part:,}" for part in parts), f"{row.total / whole:.1%}", vela, row.bound_by]
