"""Accepted figures as data: for each cell a row a metric, and what the cell was made from."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from bench.core.schema import RecordModel
from bench.plan.metrics import MetricName
from bench.records.binding import CellBinding
from bench.records.layers import LayerSummary, layer_summaries
from bench.records.provenance import Provenance, provenance_of
from bench.records.record import Record

__all__ = [
    "AcceptedCell",
    "AcceptedFigure",
    "AcceptedSweep",
    "BaselineSet",
    "Baselines",
    "accepted_as_measured",
]


class AcceptedFigure(RecordModel):
    """A figure that somebody accepted."""

    #: In the metric's unit.
    value: float
    unit: str
    #: Since when this value stands.
    since: datetime.date
    #: Why it was accepted; it stays until the value changes.
    reason: str = ""
    #: Whether it was accepted before what the cell was made from changed, and not since.
    earlier: bool = False


class AcceptedCell(RecordModel):
    """The accepted figures of a cell. A metric without a row had no figure."""

    made: Provenance
    figures: dict[MetricName, AcceptedFigure]
    #: Layer -> where its cycles went; empty where the target does not tell.
    layers: dict[str, LayerSummary] = Field(default_factory=dict)
    #: Share of the cycles in layers that wait for a memory, 0..1; see `CellBinding`.
    memory_share: float | None = None


class AcceptedSweep(RecordModel):
    """The accepted outcome of a MAC sweep."""

    #: See `bench.judging.sweep.scaling_efficiency`.
    efficiency: float
    binding: str
    since: datetime.date
    reason: str = ""


class Baselines(RecordModel):
    """The accepted figures of a workload on a target."""

    #: Where they are from, for people: `baselines/sim/mnist_fc.toml`, a run, a git revision.
    origin: str
    cells: dict[str, AcceptedCell] = Field(default_factory=dict)
    sweeps: dict[str, AcceptedSweep] = Field(default_factory=dict)


class BaselineSet(RecordModel):
    """All accepted figures that a run is judged against."""

    schema_version: Literal[1] = 1
    #: Where they are from, for people: a directory, a file, a run, a git revision.
    origin: str
    #: `<target>/<workload>` -> its figures.
    files: dict[str, Baselines] = Field(default_factory=dict)

    def of(self, target: str, workload: str) -> Baselines:
        """The figures of a workload on a target; none if nothing was ever accepted."""
        return self.files.get(f"{target}/{workload}", Baselines(origin=self.origin))


def accepted_as_measured(
    record: Record, figures: Mapping[MetricName, AcceptedFigure]
) -> AcceptedCell:
    """The cell of `record` with `figures` accepted."""
    return AcceptedCell(
        made=provenance_of(record),
        figures=dict(figures),
        layers=layer_summaries(record),
        memory_share=round(CellBinding(record.binding).memory_share, 6),
    )
