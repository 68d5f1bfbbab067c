"""Holding what the bench promises to cost, on whatever machine, and however busy that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from tests.support.slowness import slowness

__all__ = ["Costs", "hold"]

#: A busy machine may spoil one measurement, and a second, but hardly all of these.
TRIES = 5


@dataclass(frozen=True)
class Costs:
    """What one measurement found, by name."""

    #: Times in any unit: a slower machine may take longer.
    times: Mapping[str, float] = field(default_factory=dict)
    #: Quotients of two times of this machine.
    ratios: Mapping[str, float] = field(default_factory=dict)


def hold(measure: Callable[[], Costs], promised: Costs, *, processes: int = 1) -> None:
    """Fail unless one of several measurements keeps all that is promised.

    A measurement that lacks a promised name fails. Where the work is done in `processes` side by
    side, so is the yardstick.
    """
    told = []
    for _ in range(TRIES):
        allowed = slowness(processes)
        found = measure()
        broken = [
            f"{name}: {found.times[name]:.4g}, promised {most:g} and here {allowed * most:.4g}"
            for name, most in promised.times.items()
            if not found.times[name] <= allowed * most
        ] + [
            f"{name}: {found.ratios[name]:.4g}, promised {most:g}"
            for name, most in promised.ratios.items()
            if not found.ratios[name] <= most
        ]
        if not broken:
            return
        told.append("; ".join(broken))
    pytest.fail(f"{TRIES} measurements broke a promise:\n" + "\n".join(told), pytrace=False)
