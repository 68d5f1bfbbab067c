"""The study as tables: one per workload and target, like the one in Arm's article.

A table is as wide as the terminal: a narrow one gets fewer columns, and no row is ever wrapped. Of
many cells the terminal shows the rows that matter, and says how many there are besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bench.core.text import one_line, printable
from bench.records.reading import Unreadable
from bench.records.record import Record, Status, UnmeasuredRecord
from bench.report.columns import made_table
from bench.report.findings import finding_lines
from bench.report.lines import Asides, columns_of, lines_of
from bench.report.run_view import RunView
from bench.report.view.cells import CellView
from bench.report.view.studies import Study, source_words, unsupported_places
from targets.ethos_u55.accelerators import Accelerator

__all__ = [
    "BRIEF_FROM",
    "brief_tables",
    "missing_tables",
    "render",
    "unmeasured_table",
    "unreadable_table",
    "workload_tables",
]

#: From this many cells on a run ends with its most important rows only.
BRIEF_FROM = 20
#: Rows of a brief table, workloads with a table of their own, and names in one list.
_ROWS, _TABLES, _NAMES = 16, 4, 5


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


def workload_tables(studies: Iterable[Study], width: int) -> list[RenderableType]:
    """A table and its findings for each study: all rows, beside Vela's and published figures."""
    tables: list[RenderableType] = []
    for study in studies:
        lines = [line for row in study.rows for line in lines_of(row, study, Asides.ALL)]
        tables.append(made_table(columns_of(study), lines, width, _title(study)))
        tables.append(Text(_caption(study)))
        tables += _unsupported(study)
        sweeps = [row.sweep for row in study.rows if row.sweep is not None]
        tables += finding_lines(study.records, sweeps, shown_macs(study))
    return tables


def brief_tables(studies: Sequence[Study], width: int) -> list[RenderableType]:
    """The rows that fail, then the others, as many as one looks at; the rest is counted."""
    tables: list[RenderableType] = []
    ordered = sorted(studies, key=lambda study: not any(row.fails for row in study.rows))
    for study in ordered[:_TABLES]:
        rows = sorted(study.rows, key=lambda row: not row.fails)
        lines = [line for row in rows[:_ROWS] for line in lines_of(row, study, Asides.NONE)]
        tables.append(made_table(columns_of(study), lines, width, _title(study)))
        tables += _unsupported(study)
        if len(rows) > _ROWS:
            tables.append(Text(f"... and {len(rows) - _ROWS:,} more rows"))
    if len(ordered) > _TABLES:
        cells = sum(len(row.cells) for study in ordered[_TABLES:] for row in study.rows)
        left = len(ordered) - _TABLES
        tables.append(Text(f"... and {left:,} more workloads with {cells:,} cells"))
    if tables:
        tables.append(Text("`bench report RUN` shows everything, beside published figures."))
    return tables


def missing_tables(view: RunView) -> list[RenderableType]:
    """What the tables of figures lack: cells without a record, and files that cannot be read."""
    return [
        *unmeasured_table(view.unmeasured, view.lost),
        *unreadable_table(view.unreadable),
    ]


def unmeasured_table(
    unmeasured: Sequence[UnmeasuredRecord], lost: Sequence[CellView] = ()
) -> list[RenderableType]:
    """The cells that have no record, by reason; nothing if there are none."""
    reasons: dict[tuple[Status, str], list[str]] = {}
    for record in unmeasured:
        reasons.setdefault((record.status, record.reason), []).append(record.cell.id)
    for cell in lost:
        reasons.setdefault((cell.status, cell.headline), []).append(cell.id)
    if not reasons:
        return []
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
        names = cells[:_NAMES]
        if len(cells) > _NAMES:
            names.append(f"and {len(cells) - _NAMES:,} more")
        told = Text(status.value.upper(), style=style)
        table.add_row("\n".join(map(one_line, names)), told, Text(printable(reason)))
    return [table]


def unreadable_table(unreadable: Sequence[Unreadable]) -> list[RenderableType]:
    """A table of the run's files that cannot be read; nothing where there are none."""
    if not unreadable:
        return []
    table = Table("file", "why", title="cannot be read", title_justify="left", header_style="bold")
    for one in unreadable:
        table.add_row(Text(one_line(one.name)), Text(one_line(one.reason)))
    return [table]


def shown_macs(study: Study) -> Accelerator:
    """The accelerator whose sizes and beats stand for a row."""
    macs = study.macs
    return Accelerator.U55_128 if Accelerator.U55_128 in macs else max(macs)


def _title(study: Study) -> str:
    return one_line(f"{study.workload} on target {study.target}: {source_words(study.records)}")


def _caption(study: Study) -> str:
    data = study.records[0].data
    return one_line(
        f"data: {data.name}, {_samples(study.records)}. Sizes and AXI beats at "
        f"{int(shown_macs(study))} MACs. Efficiency: speed-up over the MAC sweep / ideal speed-up."
    )


def _unsupported(study: Study) -> list[Text]:
    """A line on figures that nothing published supports, if there are any."""
    words = unsupported_places(study.records)
    return [Text(one_line(words))] if words else []


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
