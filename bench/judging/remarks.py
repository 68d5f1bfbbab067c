"""What must be said beside a figure. Pure."""

from __future__ import annotations

from bench.judging.tolerances import difference
from bench.plan.metrics import MetricName, describe
from bench.records.figures import shown_number
from bench.records.record import Record
from targets.protocol import Source

__all__ = ["caveat", "told_figure"]

#: Figures that are an estimate if the target does not measure them.
_TIMES = frozenset(
    {
        *(MetricName.NPU_CYCLES, MetricName.INFERENCE_MS),
        *(MetricName.ACTIVE_SHARE, MetricName.MEMORY_WAIT),
    }
)


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
    report = record.compilation.report
    if metric is MetricName.NPU_CYCLES:
        return f"estimate; Vela's: {report.cycles_total:,}"
    return "estimate"
