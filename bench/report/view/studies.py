"""The cells of a run as studies: a workload on a target, a row for each variant and memory mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.plan.metrics import MetricName
from bench.records.record import Record, SweepRecord
from bench.records.uncertainty import notable_range, range_of
from bench.report.view.cells import CellView
from targets.ethos_u55.accelerators import Accelerator

__all__ = [
    "Place",
    "Study",
    "StudyRow",
    "cycles_of",
    "least_certain",
    "places_of",
    "source_words",
    "studies_of",
    "unsupported_of",
    "unsupported_places",
    "widest_range",
]

#: The accelerator whose sizes and beats a table shows if it is in the grid: that of Arm's article.
_SHOWN = Accelerator.U55_128


@dataclass(frozen=True, order=True)
class Place:
    """Where variants are compared with each other: everything but the variant and the MACs."""

    memory_mode: str
    system_config: str
    timing: str
    vela: str

    @classmethod
    def of(cls, record: Record) -> Place:
        """Where `record` was measured."""
        cell = record.cell
        return cls(
            cell.memory_mode.value,
            cell.system_config.removeprefix("Ethos_U55_"),
            cell.timing,
            record.compilation.vela_version,
        )


@dataclass(frozen=True)
class StudyRow:
    """A variant at one place, over its MAC sweep."""

    variant: str
    place: Place
    cells: Mapping[Accelerator, CellView]
    sweep: SweepRecord | None

    @property
    def main(self) -> CellView:
        """The cell whose sizes stand for the row."""
        shown = self.cells.get(_SHOWN)
        return shown if shown is not None else self.cells[max(self.cells)]

    @property
    def fails(self) -> bool:
        """Whether any of its cells makes the run fail."""
        return any(cell.fails for cell in self.cells.values())


@dataclass(frozen=True)
class Study:
    """A workload on a target; it has at least one row."""

    workload: str
    target: str
    rows: tuple[StudyRow, ...]

    @property
    def macs(self) -> tuple[Accelerator, ...]:
        """The accelerators of its cells, ascending."""
        return tuple(sorted({macs for row in self.rows for macs in row.cells}))

    @property
    def records(self) -> tuple[Record, ...]:
        """The records of its cells, row by row."""
        cells = (cell for row in self.rows for cell in row.cells.values())
        return tuple(cell.record for cell in cells if cell.record is not None)


def studies_of(cells: Iterable[CellView], sweeps: Iterable[SweepRecord]) -> tuple[Study, ...]:
    """The measured cells as studies, in the order of the plan."""
    swept = {sweep.cells: sweep for sweep in sweeps}
    rows: dict[tuple[str, str], dict[tuple[str, Place], dict[Accelerator, CellView]]] = {}
    for cell in cells:
        record = cell.record
        if record is not None:
            study = rows.setdefault((record.cell.workload, record.cell.target), {})
            row = study.setdefault((record.cell.variant, Place.of(record)), {})
            row[record.cell.macs] = cell
    by_first = {ids[0]: sweep for ids, sweep in swept.items() if ids}
    return tuple(
        Study(
            workload,
            target,
            tuple(
                StudyRow(variant, place, by_macs, _sweep(by_macs, by_first))
                for (variant, place), by_macs in found.items()
            ),
        )
        for (workload, target), found in rows.items()
    )


def _sweep(
    by_macs: Mapping[Accelerator, CellView], by_first: Mapping[str, SweepRecord]
) -> SweepRecord | None:
    """The judged sweep over these cells; None if there is none."""
    ids = {cell.id for cell in by_macs.values()}
    for cell in ids:
        sweep = by_first.get(cell)
        if sweep is not None and ids >= set(sweep.cells):
            return sweep
    return None


def places_of(study: Study) -> dict[Place, list[StudyRow]]:
    """The rows of a study by where their variants can be compared."""
    found: dict[Place, list[StudyRow]] = {}
    for row in study.rows:
        found.setdefault(row.place, []).append(row)
    return found


def source_words(records: Sequence[Record]) -> str:
    """What kind of figures cycles and beats are, by their source."""
    sources = {record.measurement.source.value for record in records}
    told = {
        "estimate": "cycles and beats are Vela's estimate, not a measurement",
        "simulated": "cycles are an estimate, not a measurement; beats are simulated",
    }
    words = dict.fromkeys(told.get(one, "cycles and beats are measured") for one in sorted(sources))
    return "; ".join(words)


def unsupported_places(records: Sequence[Record]) -> str:
    """For what nobody has published figures, of all `records`; empty if there is nothing."""
    found = unsupported_of(records)
    return f"Nobody has published figures for {', '.join(found)}." if found else ""


def unsupported_of(records: Sequence[Record]) -> tuple[str, ...]:
    """For what nobody has published figures, of all `records`, each once."""
    return tuple(dict.fromkeys(what for one in records for what in one.measurement.unsupported))


def widest_range(row: StudyRow) -> tuple[Accelerator, str] | None:
    """The accelerator where the cycles are least certain, and by how much they could be off.

    None where it is hardly anything everywhere, or not known.
    """
    spans = [(*span, macs) for macs, cell in row.cells.items() if (span := _span(cell))]
    if not spans:
        return None
    _, words, macs = max(spans)
    return macs, words


def least_certain(cells: Iterable[CellView]) -> tuple[str, str] | None:
    """The name of the cell whose cycles are least certain, and by how much they could be off.

    None where it is hardly anything everywhere, or not known.
    """
    spans = [(*span, cell.id) for cell in cells if (span := _span(cell))]
    if not spans:
        return None
    _, words, name = max(spans)
    return name, words


def _span(cell: CellView) -> tuple[float, str] | None:
    """How wide the range of its cycles is, as a share of them, and the range in words."""
    record = cell.record
    if record is None or not (words := notable_range(record)):
        return None
    found = range_of(record, MetricName.NPU_CYCLES)
    cycles = cell.value(MetricName.NPU_CYCLES)
    if found is None or not cycles:
        return None
    low, high = found.shares(cycles)
    return high - low, words


def cycles_of(row: StudyRow) -> dict[Accelerator, float]:
    """The NPU cycles of a row's cells, where there are any, ascending by MACs."""
    return {
        macs: value
        for macs, cell in sorted(row.cells.items())
        if (value := cell.value(MetricName.NPU_CYCLES)) is not None
    }
