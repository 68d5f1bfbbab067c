"""The study as tables: one per workload, like the one in Arm's article on the same network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bench.core.text import one_line, printable
from bench.core.units import KIB
from bench.plan.metrics import MetricName
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.reading import Unreadable
from bench.records.record import Record, Status, SweepRecord, UnmeasuredRecord
from bench.report.findings import finding_lines
from bench.report.published import PublishedRow, matching
from targets.ethos_u55.accelerators import Accelerator

__all__ = ["render", "unmeasured_table", "unreadable_table", "workload_tables"]

#: The accelerator whose sizes and beats the table shows if it is in the grid: that of the article.
_SHOWN = Accelerator.U55_128
_ABSENT = "-"
#: Axes of the grid that have a column where a table has several values of them.
_MORE_AXES: Mapping[str, Callable[[Record], str]] = {
    "system": lambda record: record.cell.system_config.removeprefix("Ethos_U55_"),
    "timing": lambda record: record.cell.timing,
    "Vela": lambda record: record.compilation.vela_version,
}


def render(renderables: Iterable[RenderableType], width: int) -> str:
    """`renderables` as text of at most `width` columns, without colours.

    Names in them are shown unchanged, even if rich or a terminal would interpret them.
    """
    console = Console(
        width=width,
        color_system=None,
        force_terminal=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as capture:
        for item in renderables:
            console.print(item)
    return printable(capture.get())


def workload_tables(
    records: Sequence[Record], sweeps: Sequence[SweepRecord]
) -> list[RenderableType]:
    """A table and its findings for each workload and target, in the order of the records."""
    keys = dict.fromkeys((r.cell.workload, r.cell.target) for r in records)
    tables: list[RenderableType] = []
    for workload, target in keys:
        mine = [r for r in records if (r.cell.workload, r.cell.target) == (workload, target)]
        shown = _shown_macs(mine)
        tables.append(_workload_table(workload, target, mine, {s.id: s for s in sweeps}))
        tables += finding_lines(mine, sweeps, shown)
    return tables


def unmeasured_table(unmeasured: Sequence[UnmeasuredRecord]) -> list[RenderableType]:
    """A table of the cells that could not be measured, by reason; nothing if there are none."""
    if not unmeasured:
        return []
    reasons: dict[tuple[Status, str], list[str]] = {}
    for record in unmeasured:
        reasons.setdefault((record.status, record.reason), []).append(record.cell.id)
    table = Table(
        "cells",
        "verdict",
        "why",
        title="not measured",
        title_justify="left",
        header_style="bold",
        show_lines=True,
    )
    for (status, reason), cells in reasons.items():
        style = "yellow" if status is Status.UNAVAILABLE else "red"
        table.add_row("\n".join(cells), Text(status.value.upper(), style=style), Text(reason))
    return [table]


def unreadable_table(unreadable: Sequence[Unreadable]) -> list[RenderableType]:
    """A table of the run's files that cannot be read; nothing where there are none."""
    if not unreadable:
        return []
    table = Table("file", "why", title="cannot be read", title_justify="left", header_style="bold")
    for one in unreadable:
        table.add_row(Text(one_line(one.name)), Text(one_line(one.reason)))
    return [table]


def _workload_table(
    workload: str, target: str, records: list[Record], sweeps: dict[str, SweepRecord]
) -> Table:
    macs = sorted({r.cell.macs for r in records})
    shown = _shown_macs(records)
    source = records[0].measurement.source.value
    data = records[0].data
    table = Table(
        # Nothing is before a title's line that would tell it from one of another program.
        title=one_line(f"{workload} on target {target}: {_kind(source)}"),
        caption=(
            f"data: {one_line(data.name)}, {_samples(records)}. Sizes and AXI beats at "
            f"{int(shown)} MACs. Efficiency: speed-up over the MAC sweep / ideal speed-up."
        ),
        title_justify="left",
        caption_justify="left",
        header_style="bold",
    )
    table.add_column("variant", no_wrap=True)
    table.add_column("memory", no_wrap=True)
    axes = {h: of for h, of in _MORE_AXES.items() if len({of(r) for r in records}) > 1}
    for heading in axes:
        table.add_column(heading, no_wrap=True)
    for heading in ("accuracy", "orig. KiB", "enc. KiB", "model KiB", "AXI1 rd"):
        table.add_column(heading, justify="right")
    for accelerator in macs:
        table.add_column(f"cyc. @{int(accelerator)}", justify="right", no_wrap=True)
    table.add_column("CPU ops", justify="right")
    table.add_column("effic.", justify="right")
    table.add_column("bound by", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    lines: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        identity = (record.cell.variant, record.cell.memory_mode.value)
        lines.setdefault((*identity, *(of(record) for of in axes.values())), []).append(record)
    for place, row in lines.items():
        by_macs = {r.cell.macs: r for r in row}
        main = by_macs.get(shown, row[0])
        table.add_row(
            *place,
            _accuracy(main),
            f"{main.compilation.report.original_weights_bytes / KIB:.2f}",
            _kib(main, MetricName.ENCODED_WEIGHTS),
            _kib(main, MetricName.DEVICE_MODEL),
            _count(main, MetricName.AXI1_READ),
            *(_count(by_macs[m], MetricName.NPU_CYCLES) if m in by_macs else _ABSENT for m in macs),
            _count(main, MetricName.CPU_OPERATORS),
            *_sweep_cells(row, sweeps),
            _verdict(row),
        )
        if target != "vela":
            table.add_row(*_aside(_vela_cells(by_macs, macs), axes), style="dim")
        published = [(p, r) for r in row for p in matching(r)]
        for origin in dict.fromkeys((p.source, p.measured_on, p.vela) for p, _ in published):
            some = [p for p, _ in published if (p.source, p.measured_on, p.vela) == origin]
            cells = _published_cells(some, macs, shown, main)
            table.add_row(*_aside(cells, axes), style="dim")
    return table


def _aside(cells: Sequence[str], axes: Sized) -> list[str]:
    """A row beside a cell's own, which leaves the columns of further axes empty."""
    return [*cells[:2], *([""] * len(axes)), *cells[2:]]


def _samples(records: Sequence[Record]) -> str:
    """How many test samples there are, and how many of them the accuracy is based on."""
    data = records[0].data
    what = "test samples" if data.steps is None else f"streams of {data.steps:,} steps"
    ran = {r.accuracy.samples for r in records if r.accuracy is not None}
    if ran and min(ran) != data.samples:
        what = f"accuracy of the first {min(ran):,} of {data.samples:,} {what}"
    else:
        what = f"{data.samples:,} {what}"
    if data.steps is None and records[0].model.keeps_state:
        what += ", each from the initial state (the model keeps state; give it streams)"
    return what


def _shown_macs(records: Sequence[Record]) -> Accelerator:
    macs = {record.cell.macs for record in records}
    return _SHOWN if _SHOWN in macs else max(macs)


def _kind(source: str) -> str:
    """What kind of figures cycles and beats are, by their source."""
    return {
        "estimate": "cycles and beats are an estimate, not a measurement",
        "simulated": "cycles are an estimate, not a measurement; beats are simulated",
    }.get(source, "cycles and beats are measured")


def _accuracy(record: Record) -> str:
    if record.accuracy is None:
        return _ABSENT
    value = record.accuracy.value
    return f"{value:.2%}" if record.accuracy.metric == "top1" else f"{value:.4f}"


def _kib(record: Record, metric: MetricName) -> str:
    value = metric_value(record, metric)
    return _ABSENT if isinstance(value, Absent) else f"{value:.2f}"


def _count(record: Record, metric: MetricName) -> str:
    value = metric_value(record, metric)
    return _ABSENT if isinstance(value, Absent) else f"{value:,.0f}"


def _sweep_cells(row: list[Record], sweeps: dict[str, SweepRecord]) -> tuple[str, str]:
    ids = {r.cell.id for r in row}
    for sweep in sweeps.values():
        if ids >= set(sweep.cells):
            if sweep.binding is None:
                return _ABSENT, _ABSENT
            bound = sweep.memory.replace("_", " ") or sweep.binding
            return f"{sweep.efficiency:.2f}", bound
    return _ABSENT, _ABSENT


def _verdict(row: list[Record]) -> Text:
    statuses = [v.status for r in row for v in r.verdicts]
    counts = {s: statuses.count(s) for s in Status if s is not Status.PASS and s in statuses}
    if not statuses:
        return Text("not judged", style="yellow")
    if not counts:
        return Text("PASS", style="green")
    text = ", ".join(f"{n} {s.value.upper()}" for s, n in counts.items())
    return Text(text, style="red" if Status.FAIL in counts else "yellow")


def _vela_cells(by_macs: dict[Accelerator, Record], macs: list[Accelerator]) -> list[str]:
    """Vela's own estimate of the cycles, shown next to every other figure."""
    cycles = [
        f"{by_macs[m].compilation.report.cycles_total:,}" if m in by_macs else _ABSENT for m in macs
    ]
    return ["  Vela", "estimate", "", "", "", "", "", *cycles, "", "", "", ""]


def _published_cells(
    rows: list[PublishedRow], macs: list[Accelerator], shown: Accelerator, record: Record
) -> list[str]:
    by_macs = {row.macs: row for row in rows}
    main = by_macs.get(shown, rows[0])
    # Other people's accuracy is shown only if it was measured on the same data.
    same_data = record.data.name == "mnist_full_70000"
    cells = [
        f"  {main.measured_on.split()[0]}",
        "published",
        f"{main.accuracy:.0%}" if main.accuracy is not None and same_data else _ABSENT,
        _optional(main.original_weights_kib, ".2f"),
        _optional(main.encoded_weights_kib, ".2f"),
        _optional(main.device_model_kib, ".0f"),
        _optional(main.axi1_rd_beats, ",d"),
    ]
    for accelerator in macs:
        row = by_macs.get(accelerator)
        cells.append(_optional(row.npu_active_cycles if row else None, ",d"))
    return [*cells, "", "", "", ""]


def _optional(value: float | None, fmt: str) -> str:
    return _ABSENT if value is None else format(value, fmt)
