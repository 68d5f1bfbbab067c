"""What a page knows of every cell at once: a row of its table, and its place in the charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.plan.metrics import MetricName, describe
from bench.records.merit import merit_of
from bench.report.html.packing import coded, rounded, text
from bench.report.run_view import RunView
from bench.report.view.cells import CellView, worst_first
from bench.report.view.pareto import pareto_front
from bench.report.view.roofline import roof_of, roofline_point
from bench.report.view.studies import Place

__all__ = ["FIGURES", "cell_columns"]

#: The figures that a table of cells has.
FIGURES = (
    MetricName.ACCURACY,
    MetricName.DEVICE_MODEL,
    MetricName.ENCODED_WEIGHTS,
    MetricName.SRAM,
    MetricName.NPU_CYCLES,
    MetricName.INFERENCE_MS,
    MetricName.AXI1_READ,
    MetricName.MEMORY_WAIT,
)
_UNKNOWN = "?"


def _of_identity(cell: CellView, name: str) -> str:
    return text(str(getattr(cell.identity, name))) if cell.identity else _UNKNOWN


_WORDS: Mapping[str, Callable[[CellView], str]] = {
    "workload": lambda c: _of_identity(c, "workload"),
    "variant": lambda c: _of_identity(c, "variant"),
    "macs": lambda c: str(int(c.identity.macs)) if c.identity else _UNKNOWN,
    "memory": lambda c: c.identity.memory_mode.value if c.identity else _UNKNOWN,
    "target": lambda c: _of_identity(c, "target"),
    "system": lambda c: _of_identity(c, "system_config").removeprefix("Ethos_U55_"),
    "timing": lambda c: _of_identity(c, "timing"),
    "vela": lambda c: text(c.record.compilation.vela_version) if c.record else _UNKNOWN,
    "status": lambda c: c.status.value.upper(),
    "change": lambda c: c.change.value,
    "merit": lambda c: text(merit_of(c.record)) if c.record else "",
    "bound": lambda c: _bound(c),
    "source": lambda c: c.record.measurement.source.value if c.record else "",
}


def _bound(cell: CellView) -> str:
    binding = cell.record.binding if cell.record else {}
    return text(max(binding, key=binding.__getitem__)) if binding else ""


def cell_columns(view: RunView) -> dict[str, Any]:
    """The columns of all cells, in the order of the plan; `order` has them worst first."""
    cells = view.cells
    place = {cell.id: i for i, cell in enumerate(cells)}
    front = pareto_front(view.studies)
    points = [roofline_point(cell) for cell in cells]
    return {
        "id": [text(cell.id) for cell in cells],
        "coded": {name: coded([of(cell) for cell in cells]) for name, of in _WORDS.items()},
        "fails": [int(cell.fails) for cell in cells],
        "headline": [text(cell.headline) if cell.fails else "" for cell in cells],
        "figures": {
            metric.value: [rounded(cell.value(metric)) for cell in cells] for metric in FIGURES
        },
        "relative": [rounded(_relative(cell), 4) for cell in cells],
        "front": [int(cell.id in front) for cell in cells],
        "intensity": [rounded(p.macs_per_byte if p else None, 4) for p in points],
        "rate": [rounded(p.macs_per_cycle if p else None, 4) for p in points],
        "roof": [rounded(roof_of(cell, view.manifest), 4) for cell in cells],
        "order": [place[cell.id] for cell in worst_first(cells)],
    }


def _relative(cell: CellView) -> float | None:
    """By how much its cycles differ from the accepted ones."""
    figure = cell.figures.get(MetricName.NPU_CYCLES)
    return figure.relative if figure else None


def metric_infos() -> dict[str, dict[str, str]]:
    """Title, unit and direction of each metric."""
    return {
        metric.value: {
            "title": describe(metric).title,
            "unit": describe(metric).unit,
            "better": describe(metric).better.value,
        }
        for metric in MetricName
    }


def place_words(place: Place) -> list[str]:
    """The parts of a place, as cells have them in their columns."""
    return [place.memory_mode, place.system_config, place.timing, place.vela]
