"""Figures that others have measured and published, to be shown next to ours.

`data/published.csv` holds them with their provenance. A row belongs to one of our workloads by name
(`workload`, `variant`), or to any model by the sha256 of the model file.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib import resources

from bench.core.schema import StrictModel
from bench.records.record import Record
from targets.ethos_u55.accelerators import Accelerator

__all__ = ["PublishedRow", "matching", "published_rows"]


class PublishedRow(StrictModel):
    """One published measurement. Sizes in KiB, cycles and beats per inference."""

    workload: str
    variant: str
    source: str
    measured_on: str
    model: str
    model_sha256: str
    vela: str
    memory_mode: str
    system_config: str
    macs: Accelerator
    timing_adapters: str
    npu_total_cycles: int | None
    npu_active_cycles: int | None
    npu_idle_cycles: int | None
    axi0_rd_beats: int | None
    axi0_wr_beats: int | None
    axi1_rd_beats: int | None
    original_weights_kib: float | None
    encoded_weights_kib: float | None
    device_model_kib: float | None
    accuracy: float | None
    note: str


@lru_cache(maxsize=1)
def published_rows() -> tuple[PublishedRow, ...]:
    """All published rows that the project knows."""
    text = resources.files(__package__).joinpath("data/published.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedRow.model_validate(
            {k: (None if v == "" and k in _NUMBERS else v) for k, v in row.items()}
        )
        for row in csv.DictReader(text.splitlines())
    )


_NUMBERS = frozenset(
    name for name, field in PublishedRow.model_fields.items() if field.annotation is not str
)


def matching(record: Record) -> list[PublishedRow]:
    """The published rows for the model and the configuration of `record`."""
    cell = record.cell
    return [
        row
        for row in published_rows()
        if row.macs is cell.macs
        and row.memory_mode == cell.memory_mode.value
        # Some sources do not state the system configuration; then it is assumed to be the same.
        and row.system_config.removesuffix(" (presumed)") in ("", cell.system_config)
        and (
            (row.workload, row.variant) == (cell.workload, cell.variant)
            or (row.model_sha256 and row.model_sha256 == record.model.sha256)
        )
    ]
