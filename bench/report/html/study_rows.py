"""The table of variants for a page: what was measured, beside Vela's and published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.core.units import KIB
from bench.plan.metrics import MetricName
from bench.records.record import Record, Status
from bench.records.uncertainty import notable_range
from bench.report.html.packing import rounded, text
from bench.report.published import PublishedRow, matching
from bench.report.view.cells import CellView
from bench.report.view.studies import Study, StudyRow, source_words, unsupported_places
from targets.ethos_u55.accelerators import Accelerator

__all__ = ["study_data"]

#: On which data the published accuracies of the study were measured.
_FULL_MNIST = "mnist_full_70000"


def study_data(study: Study, places: Mapping[str, int]) -> dict[str, Any]:
    """The study for a page; `places` is where each cell stands among all."""
    first = study.records[0]
    macs = [int(accelerator) for accelerator in study.macs]
    return {
        "workload": text(study.workload),
        "target": text(study.target),
        "source": source_words(study.records),
        "unsupported": text(unsupported_places(study.records)),
        "data": f"{text(first.data.name)}, {first.data.samples:,} test samples",
        "macs": macs,
        "rows": [one for row in study.rows for one in _rows(row, study.macs, places)],
    }


def _rows(
    row: StudyRow, macs: Sequence[Accelerator], places: Mapping[str, int]
) -> list[dict[str, Any]]:
    main = row.main
    record = main.record
    assert record is not None, "a study has measured cells only"
    ours = {
        "kind": "ours",
        "name": text(row.variant),
        "place": [
            row.place.memory_mode,
            text(row.place.system_config),
            text(row.place.timing),
            text(row.place.vela),
        ],
        "cells": [places[row.cells[m].id] if m in row.cells else None for m in macs],
        "cycles": [
            rounded(row.cells[m].value(MetricName.NPU_CYCLES)) if m in row.cells else None
            for m in macs
        ],
        "ranges": [_range(row.cells.get(m)) for m in macs],
        "accuracy": rounded(main.value(MetricName.ACCURACY)),
        "original": rounded(record.compilation.report.original_weights_bytes / KIB),
        "encoded": rounded(main.value(MetricName.ENCODED_WEIGHTS)),
        "model": rounded(main.value(MetricName.DEVICE_MODEL)),
        "axi1": rounded(main.value(MetricName.AXI1_READ)),
        "cpu": rounded(main.value(MetricName.CPU_OPERATORS)),
        "efficiency": rounded(row.sweep.efficiency, 3) if row.sweep and row.sweep.binding else None,
        "bound": _bound(row),
        "status": _status(row),
        "fails": int(row.fails),
    }
    rows = [ours]
    if record.cell.target != "vela":
        rows.append(_vela(row, macs))
    published = [(p, one) for one in _records(row) for p in matching(one)]
    for origin in dict.fromkeys((p.source, p.measured_on, p.vela) for p, _ in published):
        same = [p for p, _ in published if (p.source, p.measured_on, p.vela) == origin]
        rows.append(_published(same, macs, record))
    return rows


def _records(row: StudyRow) -> list[Record]:
    return [cell.record for cell in row.cells.values() if cell.record is not None]


def _range(cell: CellView | None) -> str:
    """What the cycles of a cell could be off by; empty if that is hardly anything, or not known."""
    return "" if cell is None or cell.record is None else notable_range(cell.record)


def _bound(row: StudyRow) -> str:
    if row.sweep is None or row.sweep.binding is None:
        return ""
    return text(row.sweep.memory.replace("_", " ") or row.sweep.binding)


def _status(row: StudyRow) -> str:
    """Its worst verdict, as cells have it."""
    cells = row.cells.values()
    order = (Status.FAIL, Status.INCOMPLETE, Status.UNAVAILABLE, Status.NO_BASELINE)
    found = {cell.status for cell in cells}
    for status in order:
        if status in found:
            return status.value.upper()
    return Status.IMPROVED.value.upper() if Status.IMPROVED in found else "PASS"


def _vela(row: StudyRow, macs: Sequence[Accelerator]) -> dict[str, Any]:
    """Vela's own estimate of the cycles, which stands next to every other figure."""
    cycles = []
    for accelerator in macs:
        cell = row.cells.get(accelerator)
        record = cell.record if cell else None
        cycles.append(record.compilation.report.cycles_total if record else None)
    return {"kind": "vela", "name": "Vela's estimate", "cycles": cycles}


def _published(
    rows: Sequence[PublishedRow], macs: Sequence[Accelerator], record: Record
) -> dict[str, Any]:
    by_macs = {row.macs: row for row in rows}
    main = by_macs.get(record.cell.macs, rows[0])
    cycles = [by_macs[m].npu_active_cycles if m in by_macs else None for m in macs]
    return {
        "kind": "published",
        "name": f"{main.measured_on}, published",
        "source": main.source,
        "cycles": cycles,
        "accuracy": main.accuracy if record.data.name == _FULL_MNIST else None,
        "original": main.original_weights_kib,
        "encoded": main.encoded_weights_kib,
        "model": main.device_model_kib,
        "axi1": main.axi1_rd_beats,
    }
