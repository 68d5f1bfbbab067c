"""The compiled model computes what the reference interpreter computes, bit for bit."""

from __future__ import annotations

from bench.plan.cell import Cell
from bench.pytest_plugin.check import Check


def test_reference(cell: Cell, check: Check) -> None:
    check.cell(cell, "reference")
