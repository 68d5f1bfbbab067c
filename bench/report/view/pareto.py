"""Which variants nothing else beats in accuracy, size and cycles together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.plan.metrics import Better, MetricName
from bench.records.merit import better_of
from bench.report.view.cells import CellView
from bench.report.view.studies import Study

__all__ = ["pareto_front"]


def pareto_front(studies: Iterable[Study]) -> set[str]:
    """The ids of the cells on the front of their study, place and accelerator.

    A cell is on it if no other is at least as good in all three figures and better in one. Cells
    that lack one of them are not.
    """
    front: set[str] = set()
    for study in studies:
        groups: dict[object, list[CellView]] = {}
        for row in study.rows:
            for macs, cell in row.cells.items():
                groups.setdefault((row.place, macs), []).append(cell)
        for members in groups.values():
            front |= _front(members)
    return front


def _front(cells: Sequence[CellView]) -> set[str]:
    """Costs are compared, so that less is better in all of them."""
    costs = {cell.id: cost for cell in cells if (cost := _cost(cell)) is not None}
    return {
        id_
        for id_, cost in costs.items()
        if not any(_beats(other, cost) for other in costs.values())
    }


def _cost(cell: CellView) -> tuple[float, float, float] | None:
    accuracy = cell.value(MetricName.ACCURACY)
    size = cell.value(MetricName.DEVICE_MODEL)
    cycles = cell.value(MetricName.NPU_CYCLES)
    if accuracy is None or size is None or cycles is None or cell.record is None:
        return None
    lower = better_of(cell.record, MetricName.ACCURACY) is Better.LOWER
    return accuracy if lower else -accuracy, size, cycles


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
