"""Accuracy on the target's own outputs: an absolute floor, and the drop against base."""

from __future__ import annotations

from bench.plan.cell import Cell
from bench.pytest_plugin.check import Check


def test_accuracy(cell: Cell, check: Check) -> None:
    check.cell(cell, "accuracy")
