"""Operators that Vela leaves to the CPU: what the NPU's own figures do not count."""

from __future__ import annotations

from bench.plan.cell import Cell
from bench.pytest_plugin.check import Check


def test_cpu_operators(cell: Cell, check: Check) -> None:
    check.cell(cell, "cpu_operators")
