"""What must be said beside a figure. Pure."""

from __future__ import annotations

from bench.judging.tolerances import difference
from bench.plan.metrics import MetricName, describe
from bench.records.figures import shown_number
from bench.records.record import Record
from bench.records.uncertainty import notable_range, range_holds, unsupported_words
from targets.protocol import Source

__all__ = ["caveat", "told_figure", "undecided"]

#: Figures that are an estimate if the target does not measure them.
_TIMES = frozenset(
    {
        *(MetricName.NPU_CYCLES, MetricName.INFERENCE_MS),
        *(MetricName.ACTIVE_SHARE, MetricName.MEMORY_WAIT),
    }
)
#: Times whose range is known, and for which others have published figures.
_WITH_RANGE = frozenset({MetricName.NPU_CYCLES, MetricName.INFERENCE_MS})


def told_figure(record: Record, metric: MetricName, value: float) -> str:
    """A figure with its remark, for people."""
    remark = caveat(record, metric)
    text = shown_number(value, describe(metric).unit)
    return f"{text} ({remark})" if remark else text


def caveat(record: Record, metric: MetricName) -> str:
    """The remark that must accompany a figure, such as that cycles are an estimate."""
    if metric is MetricName.ACCURACY:
        cut = record.accuracy.saturated if record.accuracy else 0
        return f"{cut:.1%} of the inputs' values are saturated" if cut else ""
    if metric is MetricName.CPU_OPERATORS:
        return ", ".join(dict.fromkeys(record.compilation.cpu_operators or ()))
    if metric is MetricName.REFERENCE:
        compared = record.reference
        return difference(compared) if compared and compared.mismatches else ""
    source = record.measurement.source
    if metric is MetricName.MEMORY_WAIT and not record.measurement.layers:
        # No other target tells where its cycles go.
        return "Vela's estimate"
    if metric not in _TIMES or source not in (Source.ESTIMATE, Source.SIMULATED):
        return ""
    if source is Source.ESTIMATE:
        return "Vela's estimate"
    words = ["estimate"]
    if metric is MetricName.NPU_CYCLES:
        words.append(f"Vela's: {record.compilation.report.cycles_total:,}")
    if metric in _WITH_RANGE:
        could_be, lacking = notable_range(record, metric), unsupported_words(record)
        words += [f"could be {could_be}"] if could_be else []
        words += [f"nothing published for {lacking}"] if lacking else []
    return "; ".join(words)


def undecided(record: Record, metric: MetricName, other: float, what: str) -> str:
    """Words for a verdict that the estimate's own uncertainty could turn; empty for all others.

    `other` is the limit or accepted figure with which the figure was compared, `what` its name.
    """
    could_be = range_holds(record, metric, other, describe(metric).unit)
    return f"; {what} is within the estimate's uncertainty, {could_be}" if could_be else ""
