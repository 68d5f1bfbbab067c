"""The rows of a study's table as text: a variant's own figures, and others beside them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from bench.core.units import KIB
from bench.plan.metrics import MetricName
from bench.records.record import Record, Status
from bench.report.columns import Column, Line
from bench.report.published import PublishedRow, matching
from bench.report.view.cells import CellView
from bench.report.view.figures import Change
from bench.report.view.studies import Study, StudyRow, widest_range

__all__ = ["Asides", "columns_of", "lines_of"]

_ABSENT = "-"
_FULL_MNIST = "mnist_full_70000"


class Asides(Enum):
    """Whose figures stand beside those of a row."""

    NONE = "none"
    #: Vela's estimate, and what others have published.
    ALL = "all"


def columns_of(study: Study) -> list[Column]:
    """The columns of its table; those of rank 0 say which row it is, and whether it is good."""
    places = [row.place for row in study.rows]
    shown = max(study.macs) if 128 not in study.macs else 128
    lost = any(row.main.value(MetricName.CPU_OPERATORS) for row in study.rows)
    columns = [
        Column("variant", "variant", 0, right=False),
        Column("memory", "memory", 0, right=False),
    ]
    if len({place.system_config for place in places}) > 1:
        columns.append(Column("system", "system", 0, right=False))
    if len({place.timing for place in places}) > 1:
        columns.append(Column("timing", "timing", 0, right=False))
    if len({place.vela for place in places}) > 1:
        columns.append(Column("vela", "Vela", 0, right=False))
    columns += [
        Column("verdict", "verdict", 0, right=False),
        Column("accuracy", "accuracy", 5),
        Column("original", "orig. KiB", 12),
        Column("encoded", "enc. KiB", 9),
        Column("model", "model KiB", 4),
        Column("axi1", "AXI1 rd", 11),
    ]
    for macs in study.macs:
        rank = 1 if int(macs) == shown else 8
        columns.append(Column(f"cycles{int(macs)}", f"cyc. @{int(macs)}", rank))
    columns += [
        Column("range", "cyc. could be", 7),
        Column("change", "change", 2),
        Column("cpu", "CPU ops", 3 if lost else 13),
        Column("efficiency", "effic.", 10),
        Column("bound", "bound by", 6, right=False),
    ]
    return columns


def lines_of(row: StudyRow, study: Study, asides: Asides) -> Iterator[Line]:
    """The row of a variant, and with `Asides.ALL` those beside it."""
    yield _own(row)
    if asides is Asides.NONE:
        return
    if study.target != "vela":
        yield Line(_vela(row), style="dim")
    published = [(p, one) for one in _records(row) for p in matching(one)]
    for origin in dict.fromkeys((p.source, p.measured_on, p.vela) for p, _ in published):
        same = [p for p, _ in published if (p.source, p.measured_on, p.vela) == origin]
        yield Line(_published(same, row), style="dim")


def _records(row: StudyRow) -> list[Record]:
    return [cell.record for cell in row.cells.values() if cell.record is not None]


def _own(row: StudyRow) -> Line:
    main = row.main
    record = main.record
    verdict, style = _verdict(row)
    change, change_style = _change(row)
    cells = {
        "variant": row.variant,
        "memory": row.place.memory_mode,
        "system": row.place.system_config,
        "timing": row.place.timing,
        "vela": row.place.vela,
        "verdict": verdict,
        "accuracy": _accuracy(record),
        "encoded": _shown(main, MetricName.ENCODED_WEIGHTS, ".2f"),
        "model": _shown(main, MetricName.DEVICE_MODEL, ".2f"),
        "axi1": _shown(main, MetricName.AXI1_READ, ",.0f"),
        "change": change,
        "cpu": _shown(main, MetricName.CPU_OPERATORS, ",.0f"),
    }
    if record is not None:
        original = record.compilation.report.original_weights_bytes / KIB
        cells["original"] = f"{original:.2f}"
    if row.sweep is not None and row.sweep.binding is not None:
        cells["efficiency"] = f"{row.sweep.efficiency:.2f}"
        cells["bound"] = row.sweep.memory.replace("_", " ") or row.sweep.binding
    for macs, cell in row.cells.items():
        cells[f"cycles{int(macs)}"] = _shown(cell, MetricName.NPU_CYCLES, ",.0f")
    widest = widest_range(row)
    if widest is not None:
        cells["range"] = f"@{int(widest[0])} {widest[1]}"
    return Line(cells, styles={"verdict": style, "change": change_style})


def _shown(cell: CellView, metric: MetricName, form: str) -> str:
    value = cell.value(metric)
    return _ABSENT if value is None else format(value, form)


def _accuracy(record: Record | None) -> str:
    if record is None or record.accuracy is None:
        return _ABSENT
    value = record.accuracy.value
    return f"{value:.2%}" if record.accuracy.metric == "top1" else f"{value:.4f}"


def _verdict(row: StudyRow) -> tuple[str, str]:
    """How many verdicts of each status the row has, if any is no pass; and its style."""
    statuses = [v.status for one in _records(row) for v in one.verdicts]
    failing = [status for status in (Status.FAIL, Status.INCOMPLETE) if status in statuses]
    if not statuses:
        return "not judged", "yellow"
    for status in (*failing, Status.NO_BASELINE, Status.IMPROVED, Status.UNAVAILABLE):
        if status in statuses and status is not Status.UNAVAILABLE:
            word = status.value.upper().replace("_", " ")
            return f"{statuses.count(status)} {word}", "red" if status in failing else "yellow"
    return ("PASS", "green") if Status.PASS in statuses else ("UNAVAILABLE", "yellow")


def _change(row: StudyRow) -> tuple[str, str]:
    """By how much its cycles differ from the accepted ones, in the cell where they do most."""
    figures = [cell.figures.get(MetricName.NPU_CYCLES) for cell in row.cells.values()]
    known = [one for one in figures if one is not None and one.relative is not None]
    if not known:
        return "", ""
    most = max(known, key=lambda one: abs(one.relative or 0))
    if not most.relative:
        return "=", ""
    style = {Change.REGRESSED: "red", Change.IMPROVED: "green"}.get(most.change, "")
    digits = 1 if abs(most.relative) >= 0.001 else 3
    return f"{most.relative:+.{digits}%}", style


def _vela(row: StudyRow) -> dict[str, str]:
    """Vela's own estimate of the cycles, shown next to every other figure."""
    cells = {"variant": "  Vela", "memory": "estimate"}
    for macs, cell in row.cells.items():
        if cell.record is not None:
            cycles = cell.record.compilation.report.cycles_total
            cells[f"cycles{int(macs)}"] = f"{cycles:,}"
    return cells


def _published(rows: list[PublishedRow], row: StudyRow) -> dict[str, str]:
    by_macs = {one.macs: one for one in rows}
    record = row.main.record
    main = by_macs.get(record.cell.macs, rows[0]) if record is not None else rows[0]
    # Other people's accuracy is shown only if it was measured on the same data.
    same_data = record is not None and record.data.name == _FULL_MNIST
    cells = {
        "variant": f"  {main.measured_on.split()[0]}",
        "memory": "published",
        "accuracy": _optional(main.accuracy if same_data else None, ".0%"),
        "original": _optional(main.original_weights_kib, ".2f"),
        "encoded": _optional(main.encoded_weights_kib, ".2f"),
        "model": _optional(main.device_model_kib, ".0f"),
        "axi1": _optional(main.axi1_rd_beats, ",d"),
    }
    for macs in row.cells:
        found = by_macs.get(macs)
        cells[f"cycles{int(macs)}"] = _optional(found.npu_active_cycles if found else None, ",d")
    return cells


def _optional(value: float | None, form: str) -> str:
    return _ABSENT if value is None else format(value, form)
