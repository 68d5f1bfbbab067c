"""Do more MACs still help? Otherwise memory, or overhead, binds the network."""

from __future__ import annotations

from bench.plan.grid import Group
from bench.pytest_plugin.check import Check


def test_mac_sweep(sweep: Group, check: Check) -> None:
    check.sweep(sweep)
