"""What this process of a run has to measure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from bench.plan.cell import Cell
from bench.plan.grid import Group, base_of

__all__ = ["is_alone", "wanted_cells"]


def is_alone(config: pytest.Config) -> bool:
    """Whether no other process measures, so that nobody else would train meanwhile."""
    worker_input: dict[str, Any] = getattr(config, "workerinput", {})
    return int(worker_input.get("workercount", 1)) == 1


def wanted_cells(items: Iterable[pytest.Item]) -> tuple[Cell, ...]:
    """The cells that the selected tests need; a cell is compared with its base."""
    wanted: dict[Cell, None] = {}
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        for value in parameters.values():
            cells = value.cells if isinstance(value, Group) else (value,)
            for cell in cells:
                if isinstance(cell, Cell):
                    wanted.update({cell: None, base_of(cell): None})
    return tuple(wanted)
