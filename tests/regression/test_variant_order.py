"""Compression must pay: size and cycles rise along the configured order of variants."""

from __future__ import annotations

from bench.plan.grid import Group
from bench.pytest_plugin.check import Check


def test_variant_order(order: Group, check: Check) -> None:
    check.order(order)
