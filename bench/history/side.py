"""One side of a comparison: the figures of cells, and what each cell was made from.

A run gives one, and so do accepted figures. What a side does not know is empty there and never
counts as a difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.baselines.accepted import BaselineSet
from bench.plan.metrics import Better, MetricName, describe
from bench.records.figures import Absent, Number
from bench.records.layers import LayerSummary, layer_summaries
from bench.records.merit import better_of, merit_of
from bench.records.metric_values import metric_value
from bench.records.provenance import Provenance, provenance_of
from bench.records.reading import Unreadable
from bench.records.record import Record
from bench.records.run_directory import RunDirectory

__all__ = ["CellSide", "Side", "side_of_baselines", "side_of_run"]


@dataclass(frozen=True)
class CellSide:
    """What one side knows of a cell."""

    figures: Mapping[MetricName, Number | Absent] = field(default_factory=dict)
    made: Provenance = field(default_factory=Provenance)
    #: Name of the figure of merit (`top1`); empty if it is not known.
    accuracy_metric: str = ""
    #: Which way the accuracy improves; None if nothing says so.
    accuracy_better: Better | None = None
    layers: Mapping[str, LayerSummary] = field(default_factory=dict)
    #: Layer -> cycles in which its weights are decoded; empty where the target does not tell.
    weight_decode: Mapping[str, int] = field(default_factory=dict)
    #: Vela's name of a layer -> its estimate of the cycles.
    vela_layers: Mapping[str, int] = field(default_factory=dict)
    outputs_sha256: str = ""
    #: Why the cell has no figures at all; empty if it was measured.
    unmeasured: str = ""


@dataclass(frozen=True)
class Side:
    """The cells of one side, by id, in the order of its plan."""

    #: What the user named, and where it is.
    name: str
    #: When it was made and by what, for people; may be empty.
    origin: str
    cells: Mapping[str, CellSide]
    unreadable: tuple[Unreadable, ...] = ()
    #: The records behind the cells; accepted figures have none.
    records: Mapping[str, Record] = field(default_factory=dict)


def side_of_run(run: RunDirectory) -> Side:
    """The planned cells of `run`, with or without figures.

    Raises `BenchError` if `run` is no run's directory.
    """
    manifest = run.manifest()
    read, lost = run.planned_records(), run.unmeasured()
    unreadable = read.unreadable + lost.unreadable
    records = {record.cell.id: record for record in read.found}
    reasons = {f.subject: str(f) for f in unreadable} | {
        record.cell.id: record.reason for record in lost.found
    }
    return Side(
        name=str(run.path),
        origin=manifest.started,
        cells={
            id_: _measured(records[id_])
            if id_ in records
            else CellSide(unmeasured=reasons.get(id_, "it was planned and not measured"))
            for id_ in manifest.planned_cells
        },
        unreadable=unreadable,
        records=records,
    )


def _measured(record: Record) -> CellSide:
    decode: dict[str, int] = {}
    for row in record.measurement.layers:
        if row.layer:
            decode[row.layer] = decode.get(row.layer, 0) + row.weight_decode
    vela: dict[str, int] = {}
    for layer in record.compilation.report.layers:
        vela[layer.name] = vela.get(layer.name, 0) + layer.op_cycles
    return CellSide(
        figures={metric: _figure(record, metric) for metric in MetricName},
        made=provenance_of(record),
        accuracy_metric=merit_of(record),
        accuracy_better=better_of(record, MetricName.ACCURACY) if record.accuracy else None,
        layers=layer_summaries(record),
        weight_decode=decode,
        vela_layers=vela,
        outputs_sha256=record.measurement.outputs_sha256,
    )


def _figure(record: Record, metric: MetricName) -> Number | Absent:
    value = metric_value(record, metric)
    if isinstance(value, Absent):
        return value
    return Number(value=value, unit=describe(metric).unit)


def side_of_baselines(baselines: BaselineSet, name: str) -> Side:
    """The accepted figures in `baselines`, which the user calls `name`.

    They do not say which figure of merit the accuracy is, nor what the outputs were.
    """
    return Side(
        name=name,
        origin="" if baselines.origin == name else baselines.origin,
        cells={
            id_: CellSide(
                figures={
                    metric: Number(value=row.value, unit=row.unit)
                    for metric, row in cell.figures.items()
                },
                made=cell.made,
                layers=cell.layers,
            )
            for each in baselines.files.values()
            for id_, cell in each.cells.items()
        },
    )
