"""How far an estimated figure of a record could be off, and what nothing published supports. Pure.

The target says between which counts its estimate could lie. Milliseconds follow their cycles.
"""

from __future__ import annotations

from bench.plan.metrics import MetricName
from bench.records.figures import Absent, shown_number
from bench.records.metric_values import metric_value
from bench.records.record import Record
from targets.protocol import Uncertainty

__all__ = [
    "SHOWN_FROM",
    "notable_range",
    "range_holds",
    "range_in_unit",
    "range_of",
    "unsupported_words",
]

#: From this share of a figure on, reports show what it could be.
SHOWN_FROM = 0.02
_EVENT = "NPU_ACTIVE"
#: Figures that are NPU_ACTIVE times a constant.
_FOLLOWING = (MetricName.NPU_CYCLES, MetricName.INFERENCE_MS)


def range_of(record: Record, metric: MetricName) -> Uncertainty | None:
    """Between which NPU cycles the estimate behind `metric` could lie; None if nobody says."""
    return record.measurement.uncertainty.get(_EVENT) if metric in _FOLLOWING else None


def notable_range(record: Record, metric: MetricName = MetricName.NPU_CYCLES) -> str:
    """What the figure could be off by, `-6.7% to +3.9%`; empty if that is hardly anything."""
    found = range_of(record, metric)
    if found is None:
        return ""
    low, high = found.shares(record.measurement.counters.get(_EVENT, 0))
    return f"{low:+.1%} to {high:+.1%}" if max(-low, high) > SHOWN_FROM else ""


def range_in_unit(record: Record, metric: MetricName) -> tuple[float, float] | None:
    """Between which figures the estimate of `metric` could lie, in its unit; None if unknown."""
    found = range_of(record, metric)
    count = record.measurement.counters.get(_EVENT, 0)
    if found is None or not count:
        return None
    value = metric_value(record, metric)
    if isinstance(value, Absent):
        return None
    return found.low * value / count, found.high * value / count


def range_holds(record: Record, metric: MetricName, other: float, unit: str) -> str:
    """The range in words if `other`, a figure of the same metric, lies in it; else empty."""
    found = range_in_unit(record, metric)
    if found is None or not found[0] <= other <= found[1]:
        return ""
    low, high = found
    return f"{shown_number(low, unit).removesuffix(unit).rstrip()} to {shown_number(high, unit)}"


def unsupported_words(record: Record) -> str:
    """For what no figure was ever published: `int16 and Sram_Only`; empty if there is nothing."""
    return " and ".join(record.measurement.unsupported)
