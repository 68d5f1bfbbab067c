"""How much of the time the multipliers wait for a memory, and whether memory binds the network."""

from __future__ import annotations

from bench.plan.cell import Cell
from bench.pytest_plugin.check import Check


def test_memory_bound(cell: Cell, check: Check) -> None:
    check.cell(cell, "memory_bound")
