"""A run as flat rows: one figure of one cell each, as tables and metrics have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from bench.core.text import one_line
from bench.plan.metrics import describe
from bench.records.uncertainty import unsupported_words
from bench.report.run_view import RunView
from bench.report.view.cells import CellView

__all__ = ["DECIMALS", "FigureRow", "columns", "figure_rows", "fixed"]

#: Unit -> decimals of a figure as text; other units count things.
DECIMALS = {"": 6, "KiB": 4, "ms": 6}


@dataclass(frozen=True)
class FigureRow:
    """One figure. What is not known is None, and never 0."""

    cell: str
    workload: str
    variant: str
    macs: int
    memory_mode: str
    target: str
    system_config: str
    timing: str
    vela: str
    #: `estimate`, `simulated`, `fvp` or `board`.
    source: str
    #: For what of the cell nobody has published cycles, such as `int16`.
    unsupported: str
    metric: str
    unit: str
    #: Which way it improves: `lower` or `higher`.
    better: str
    value: float | None
    #: Between which figures an estimate could lie, as far as the target can tell.
    low: float | None
    high: float | None
    #: Why there is none.
    absent: str
    #: The accepted figure, and the change as a share of it.
    accepted: float | None
    change: float | None
    #: `regressed`, `improved`, `unchanged` or `new`.
    outcome: str
    limit: str
    status: str
    fails: bool
    cause: str


def columns() -> list[str]:
    """The names of the fields, in order."""
    return [field.name for field in fields(FigureRow)]


def figure_rows(view: RunView) -> Iterator[FigureRow]:
    """All figures of all measured cells, in the order of the plan."""
    for cell in view.cells:
        yield from _rows_of(cell)


def _rows_of(cell: CellView) -> Iterable[FigureRow]:
    record = cell.record
    if record is None:
        return
    identity = record.cell
    for figure in cell.figures.values():
        yield FigureRow(
            cell=one_line(cell.id),
            workload=one_line(identity.workload),
            variant=one_line(identity.variant),
            macs=int(identity.macs),
            memory_mode=identity.memory_mode.value,
            target=one_line(identity.target),
            system_config=one_line(identity.system_config),
            timing=one_line(identity.timing),
            vela=one_line(record.compilation.vela_version),
            source=record.measurement.source.value,
            unsupported=unsupported_words(record),
            metric=figure.metric.value,
            unit=figure.unit,
            better=describe(figure.metric).better.value,
            value=figure.value,
            low=figure.could_be[0] if figure.could_be else None,
            high=figure.could_be[1] if figure.could_be else None,
            absent=one_line(figure.absent),
            accepted=figure.before,
            change=figure.relative,
            outcome=figure.change.value,
            limit=one_line(figure.limit),
            status=figure.status.value if figure.status else "",
            fails=figure.fails,
            cause=one_line(figure.cause),
        )


def fixed(value: float, unit: str) -> str:
    """A figure as text with the decimals of its unit, so that equal figures are equal texts."""
    return f"{value:.{DECIMALS.get(unit, 0)}f}"
