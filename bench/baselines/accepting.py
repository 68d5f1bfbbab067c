"""Accepting what a run measured: the new baselines, and what is different about them. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.baselines.accepted import (
    AcceptedCell,
    AcceptedFigure,
    AcceptedSweep,
    Baselines,
    accepted_as_measured,
)
from bench.core.errors import BenchError
from bench.plan.metrics import MetricName, describe
from bench.records.figures import Absent, shown_number
from bench.records.merit import is_worse
from bench.records.metric_values import metric_value
from bench.records.provenance import first_cause
from bench.records.record import Record, SweepRecord

__all__ = ["Acceptance", "Change", "Kind", "accept", "require_reason"]

#: Worse figures to name in an error; the others are counted.
_NAMED = 5


class Kind(str, Enum):
    """How an accepted figure differs from the one before."""

    NEW = "new"
    BETTER = "better"
    WORSE = "worse"
    #: There is no figure any more.
    LOST = "lost"


@dataclass(frozen=True)
class Change:
    """One row that an acceptance adds, changes or removes."""

    cell: str
    metric: MetricName
    kind: Kind
    before: float | None
    after: float | None

    def __str__(self) -> str:
        unit = describe(self.metric).unit
        told = [
            "nothing" if value is None else shown_number(value, unit)
            for value in (self.before, self.after)
        ]
        change = ""
        if self.before and self.after is not None:
            change = f" ({(self.after - self.before) / abs(self.before):+.1%})"
        what = f"{told[1]}" if self.kind is Kind.NEW else f"{told[0]} -> {told[1]}{change}"
        return f"{self.cell}: {self.metric.value} {what} [{self.kind.value}]"


@dataclass(frozen=True)
class Acceptance:
    """The baselines after an acceptance, and the rows that differ."""

    after: Baselines
    changes: tuple[Change, ...]


def accept(
    before: Baselines,
    records: Sequence[Record],
    sweeps: Iterable[SweepRecord],
    *,
    reason: str,
    today: datetime.date,
    metrics: Collection[MetricName] = tuple(MetricName),
) -> Acceptance:
    """Accept `metrics` of `records`, which are all of the workload and target of `before`.

    A row whose value stays keeps its date and its reason. Cells that are not in `records` stay as
    they are, and so do other metrics; those are marked as accepted earlier if what the cell is
    made from has changed since.
    """
    cells = dict(before.cells)
    changes: list[Change] = []
    for record in records:
        old = cells.get(record.cell.id)
        figures = _figures(record, old, metrics, reason, today, changes)
        cells[record.cell.id] = accepted_as_measured(record, figures)
    return Acceptance(
        before.model_copy(
            update={"cells": cells, "sweeps": _sweeps(before, sweeps, reason, today)}
        ),
        tuple(changes),
    )


def _figures(
    record: Record,
    old: AcceptedCell | None,
    metrics: Collection[MetricName],
    reason: str,
    today: datetime.date,
    changes: list[Change],
) -> dict[MetricName, AcceptedFigure]:
    rows = {} if old is None else old.figures
    kept_as = None if old is None else accepted_as_measured(record, {}).made
    moved = old is not None and kept_as is not None and first_cause(old.made, kept_as) is not None
    figures: dict[MetricName, AcceptedFigure] = {}
    for metric in MetricName:
        row = rows.get(metric)
        if metric not in metrics:
            if row is not None:
                figures[metric] = row.model_copy(update={"earlier": row.earlier or moved})
            continue
        value = metric_value(record, metric)
        if isinstance(value, Absent):
            if row is not None:
                changes.append(Change(record.cell.id, metric, Kind.LOST, row.value, None))
            continue
        if row is not None and row.value == value:
            figures[metric] = row.model_copy(update={"earlier": False})
            continue
        unit = describe(metric).unit
        figures[metric] = AcceptedFigure(value=value, unit=unit, since=today, reason=reason)
        changes.append(_change(record, metric, row, value))
    return figures


def _change(record: Record, metric: MetricName, row: AcceptedFigure | None, value: float) -> Change:
    cell = record.cell.id
    if row is None:
        return Change(cell, metric, Kind.NEW, None, value)
    worse = is_worse(record, metric, row.value, value)
    return Change(cell, metric, Kind.WORSE if worse else Kind.BETTER, row.value, value)


def _sweeps(
    before: Baselines, sweeps: Iterable[SweepRecord], reason: str, today: datetime.date
) -> dict[str, AcceptedSweep]:
    found = dict(before.sweeps)
    for sweep in sweeps:
        if sweep.binding is None:
            continue
        efficiency = round(sweep.efficiency, 6)
        old = found.get(sweep.id)
        if old is None or (old.efficiency, old.binding) != (efficiency, sweep.binding):
            found[sweep.id] = AcceptedSweep(
                efficiency=efficiency, binding=sweep.binding, since=today, reason=reason
            )
    return found


def require_reason(changes: Iterable[Change], reason: str, cure: str) -> None:
    """Raise `BenchError`, which names them, if a figure got worse and there is no reason."""
    worse = [change for change in changes if change.kind in (Kind.WORSE, Kind.LOST)]
    if not worse or reason.strip():
        return
    listed = "\n  ".join(str(change) for change in worse[:_NAMED])
    more = f"\n  and {len(worse) - _NAMED} more" if len(worse) > _NAMED else ""
    raise BenchError(
        f"nothing was accepted: {len(worse)} figures are worse than before, and no reason is "
        f"given:\n  {listed}{more}",
        cure=cure,
    )
