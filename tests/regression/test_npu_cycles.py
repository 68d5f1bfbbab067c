"""NPU-active cycles of one inference."""

from __future__ import annotations

from bench.plan.cell import Cell
from bench.pytest_plugin.check import Check


def test_npu_cycles(cell: Cell, check: Check) -> None:
    check.cell(cell, "npu_cycles")
