"""The value of each metric in a record, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bench.core.units import KIB
from bench.plan.metrics import MetricName, describe
from bench.records.figures import Absent
from bench.records.layers import wait_share
from bench.records.record import Record
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = ["metric_value"]

_ACTIVE, _IDLE = "NPU_ACTIVE", "NPU_IDLE"


def metric_value(record: Record, metric: MetricName) -> float | Absent:
    """The figure of `metric` in its unit, or the reason why there is none."""
    event = describe(metric).event
    return _VALUES[metric](record) if event is None else _counter(record, event)


def _counter(record: Record, event: str) -> float | Absent:
    counters = record.measurement.counters
    if event in counters:
        return float(counters[event])
    return Absent(reason=record.measurement.unavailable.get(event, ""))


def _accuracy(record: Record) -> float | Absent:
    """The accuracy on the whole test set. On a part of it chance decides about a limit."""
    if record.accuracy is None:
        return Absent(reason=record.accuracy_absent)
    ran, there = record.accuracy.samples, record.data.samples
    if ran < there:
        return Absent(
            reason=f"target {record.cell.target!r} ran {ran:,} of {there:,} test samples, on which "
            f"{record.accuracy.metric} is {record.accuracy.value:.4f}; "
            "the accuracy of a part is not judged"
        )
    return record.accuracy.value


def _mismatches(record: Record) -> float | Absent:
    """The elements that differ from the reference, unless a correct NPU's may differ."""
    reference = record.reference
    if reference is None:
        return Absent(reason=record.reference_absent)
    if reference.inexact:
        return Absent(
            reason=f"{reference.inexact}; {reference.mismatches:,} of {reference.elements:,} "
            f"elements differ, by at most {reference.largest:,}"
        )
    return float(reference.mismatches)


def _cpu_operators(record: Record) -> float | Absent:
    left = record.compilation.cpu_operators
    if left is None:
        return Absent(reason="the record is from before they were counted")
    return float(len(left))


def _sram(record: Record) -> float:
    """What the part must have. In Sram_Only it also holds the constants, which Vela lists under
    the name of on-chip flash.
    """
    report = record.compilation.report
    constants = (
        report.on_chip_flash.used_bytes if record.cell.memory_mode is MemoryMode.SRAM_ONLY else 0
    )
    return (report.sram.used_bytes + constants) / KIB


def _encoding_ratio(record: Record) -> float | Absent:
    report = record.compilation.report
    if not report.original_weights_bytes:
        return Absent(reason="no weights are on the NPU")
    return report.encoded_weights_bytes / report.original_weights_bytes


def _inference_ms(record: Record) -> float | Absent:
    cycles = _counter(record, _ACTIVE)
    if isinstance(cycles, Absent):
        return cycles
    clock = record.compilation.report.core_clock_hz
    if not clock:
        return Absent(reason="the record states a clock of 0 Hz")
    return 1000 * cycles / clock


def _active_share(record: Record) -> float | Absent:
    active, idle = _counter(record, _ACTIVE), _counter(record, _IDLE)
    if isinstance(active, Absent):
        return active
    if isinstance(idle, Absent):
        return Absent(reason=idle.reason or f"this target does not count {_IDLE}")
    if not active + idle:
        return Absent(reason=f"{_ACTIVE} and {_IDLE} are 0")
    return active / (active + idle)


def _memory_wait(record: Record) -> float | Absent:
    share = wait_share(record)
    return Absent(reason="no layer runs on the NPU") if share is None else share


_VALUES: Mapping[MetricName, Callable[[Record], float | Absent]] = MappingProxyType(
    {
        MetricName.ACCURACY: _accuracy,
        MetricName.ENCODED_WEIGHTS: lambda r: r.compilation.report.encoded_weights_bytes / KIB,
        MetricName.ENCODING_RATIO: _encoding_ratio,
        MetricName.DEVICE_MODEL: lambda r: r.compilation.device_model_bytes / KIB,
        MetricName.SRAM: _sram,
        MetricName.FLASH: lambda r: r.compilation.report.off_chip_flash.used_bytes / KIB,
        MetricName.MACS: lambda r: float(r.compilation.report.macs),
        MetricName.INFERENCE_MS: _inference_ms,
        MetricName.ACTIVE_SHARE: _active_share,
        MetricName.MEMORY_WAIT: _memory_wait,
        MetricName.REFERENCE: _mismatches,
        MetricName.CPU_OPERATORS: _cpu_operators,
    }
)
