"""Accepted figures for tests of what judges and keeps them."""

from __future__ import annotations

import datetime

from bench.baselines.accepted import Baselines
from bench.baselines.accepting import accept
from bench.records.record import Record

__all__ = ["accepted"]

_DAY = datetime.date(2026, 11, 29)


def accepted(*records: Record) -> Baselines:
    """The figures of `records`, accepted on a day in the past."""
    return accept(Baselines(origin="o"), records, [], reason="first", today=_DAY).after
