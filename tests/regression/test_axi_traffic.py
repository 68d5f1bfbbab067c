"""AXI beats of one inference, by port and direction."""

from __future__ import annotations

from bench.plan.cell import Cell
from bench.pytest_plugin.check import Check


def test_axi_traffic(cell: Cell, check: Check) -> None:
    check.cell(cell, "axi_traffic")
