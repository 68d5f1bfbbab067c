"""The size of the weights as Vela encodes them for the NPU."""

from __future__ import annotations

from bench.plan.cell import Cell
from bench.pytest_plugin.check import Check


def test_encoded_weights(cell: Cell, check: Check) -> None:
    check.cell(cell, "encoded_weights")
