"""A plan in units: what one process judges at a stretch, without asking another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.plan.cell import Cell
from bench.plan.grid import Group, Plan
from targets.registry import EXCLUSIVE

__all__ = ["Unit", "cell_units", "order_units"]

#: Cells of a unit. Larger units keep a process busy while others have nothing left; smaller ones
#: look up what is common to a family more often.
_CELLS = 64


@dataclass(frozen=True)
class Unit:
    """Cells, and the groups among them."""

    cells: tuple[Cell, ...] = ()
    sweeps: tuple[Group, ...] = ()
    orders: tuple[Group, ...] = ()


def cell_units(plan: Plan) -> list[Unit]:
    """All cells and sweeps of `plan`, each once, in its order.

    Families stay together up to a size, and sweeps always. A target with a single device is one
    unit, as it gets all its cells together.
    """
    found: list[Unit] = []
    sweep_of = {cell: sweep for sweep in plan.sweeps for cell in sweep.cells}
    for kept_together, cells in _together(plan.cells).items():
        # A dictionary, as a sweep of several cells is one piece.
        pieces = dict.fromkeys(sweep_of.get(cell, cell) for cell in cells)
        most = len(cells) if kept_together in EXCLUSIVE else _CELLS
        found += _packed(pieces, most)
    return found


def order_units(plan: Plan) -> list[Unit]:
    """The orders of `plan`, whose cells have to be judged before."""
    return [Unit(orders=(order,)) for order in plan.orders]


def _together(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Exclusive target or family -> its cells."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        key = cell.target if cell.target in EXCLUSIVE else cell.family
        found.setdefault(key, []).append(cell)
    return found


def _packed(pieces: Iterable[Cell | Group], most: int) -> Iterator[Unit]:
    """Units of at most `most` cells each, unless a sweep alone has more."""
    cells: list[Cell] = []
    sweeps: list[Group] = []
    for piece in pieces:
        added = piece.cells if isinstance(piece, Group) else (piece,)
        if cells and len(cells) + len(added) > most:
            yield Unit(tuple(cells), tuple(sweeps))
            cells, sweeps = [], []
        cells += added
        if isinstance(piece, Group):
            sweeps.append(piece)
    if cells:
        yield Unit(tuple(cells), tuple(sweeps))
