"""What the history keeps of a run: a row for the run, for each cell, and for each figure. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

from bench.core.errors import BenchError
from bench.core.text import xml_text
from bench.plan.metrics import MetricName, describe
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.provenance import Provenance, provenance_of
from bench.records.record import CellIdentity, Record, UnmeasuredRecord
from bench.records.run import RunManifest, Surroundings
from targets.protocol import Source

__all__ = ["CellRow", "FigureRow", "FigureSource", "RunRow", "RunRows", "rows_of_run"]

#: How a manifest writes the time; see `RunManifest.now`.
_TIME = "%Y-%m-%dT%H:%M:%S%z"


class FigureSource(str, Enum):
    """Where a figure comes from: the target's kinds, and one for what is read from a file."""

    COMPILER = "compiler"
    ESTIMATE = Source.ESTIMATE.value
    SIMULATED = Source.SIMULATED.value
    FVP = Source.FVP.value
    BOARD = Source.BOARD.value


#: Figures of the compiled file, the same whatever runs it.
_OF_THE_COMPILER = frozenset(
    {
        *(MetricName.ENCODED_WEIGHTS, MetricName.ENCODING_RATIO, MetricName.DEVICE_MODEL),
        *(MetricName.SRAM, MetricName.FLASH, MetricName.CPU_OPERATORS, MetricName.MACS),
    }
)
#: Figures of the layers' cycles, which no target measures.
_ESTIMATES = frozenset({MetricName.MEMORY_WAIT})
#: Figures that are computed from a counter -> its PMU event.
_COUNTED = {MetricName.INFERENCE_MS: "NPU_ACTIVE", MetricName.ACTIVE_SHARE: "NPU_ACTIVE"}
#: Kinds of a counter that nothing has verified; see `MeasurementRecord.kinds`.
_ESTIMATED = frozenset({"modelled", "estimate"})


@dataclass(frozen=True)
class FigureRow:
    """The figure of one metric of one cell."""

    metric: str
    #: None for the reason in `absent`.
    value: float | None
    unit: str
    source: FigureSource
    absent: str = ""


@dataclass(frozen=True)
class CellRow:
    """One cell of one run."""

    identity: CellIdentity
    #: `measured`, or the status of an `UnmeasuredRecord`.
    outcome: str
    #: Why it was not measured.
    reason: str = ""
    model_origin: str = ""
    model_sha256: str = ""
    data_sha256: str = ""
    vela_version: str = ""
    #: From what the figures come; None for a cell without figures.
    provenance: Provenance | None = None
    figures: tuple[FigureRow, ...] = ()


@dataclass(frozen=True)
class RunRow:
    """One run. Name, time and host together identify it."""

    #: Of its directory.
    name: str
    #: As its manifest has it.
    started: str
    host: str
    #: The same, in seconds since 1970 (UTC).
    started_s: int
    #: Whether every chosen test came to its end.
    complete: bool
    planned_cells: int
    surroundings: Surroundings


@dataclass(frozen=True)
class RunRows:
    """Everything that the history keeps of one run."""

    run: RunRow
    cells: tuple[CellRow, ...]


def rows_of_run(
    name: str,
    manifest: RunManifest,
    records: Iterable[Record],
    unmeasured: Iterable[UnmeasuredRecord],
    *,
    complete: bool,
) -> RunRows:
    """The rows of the run in the directory called `name`.

    Raises `BenchError` if its manifest does not say when it was.
    """
    measured = [_measured_cell(record) for record in records]
    known = {cell.identity.id for cell in measured}
    # One worker may have measured a cell before another could not.
    failed = [_unmeasured_cell(one) for one in unmeasured if one.cell.id not in known]
    return RunRows(
        RunRow(
            # A directory may have any name; a store has text.
            name=xml_text(name),
            started=manifest.started,
            host=manifest.host,
            started_s=_seconds(name, manifest.started),
            complete=complete,
            planned_cells=len(manifest.planned_cells),
            surroundings=manifest.surroundings,
        ),
        (*measured, *failed),
    )


def _seconds(name: str, started: str) -> int:
    try:
        moment = datetime.strptime(started, _TIME)
        return int(moment.astimezone(timezone.utc).timestamp())
    except (ValueError, OverflowError):
        raise BenchError(f"{name}/run.json: started: {started!r} is not a time") from None


def _unmeasured_cell(record: UnmeasuredRecord) -> CellRow:
    return CellRow(record.cell, outcome=record.status.value, reason=record.reason)


def _measured_cell(record: Record) -> CellRow:
    return CellRow(
        record.cell,
        outcome="measured",
        model_origin=record.model.origin,
        model_sha256=record.model.sha256,
        data_sha256=record.data.sha256,
        vela_version=record.compilation.vela_version,
        provenance=provenance_of(record),
        figures=tuple(_figure(record, metric) for metric in MetricName),
    )


def _figure(record: Record, metric: MetricName) -> FigureRow:
    unit, source = describe(metric).unit, _source(record, metric)
    value = metric_value(record, metric)
    if isinstance(value, Absent):
        reason = value.reason or "the record gives no reason"
        return FigureRow(metric.value, None, unit, source, reason)
    if not math.isfinite(value):
        return FigureRow(metric.value, None, unit, source, "the record gives no finite number")
    return FigureRow(metric.value, value, unit, source)


def _source(record: Record, metric: MetricName) -> FigureSource:
    if metric in _OF_THE_COMPILER:
        return FigureSource.COMPILER
    if metric in _ESTIMATES:
        return FigureSource.ESTIMATE
    measured = record.measurement
    event = _COUNTED.get(metric, describe(metric).event)
    if event is not None and measured.kinds.get(event) in _ESTIMATED:
        return FigureSource.ESTIMATE
    return FigureSource(measured.source.value)
