"""The size of everything the compiled model keeps in read-only memory."""

from __future__ import annotations

from bench.plan.cell import Cell
from bench.pytest_plugin.check import Check


def test_device_model(cell: Cell, check: Check) -> None:
    check.cell(cell, "device_model")
