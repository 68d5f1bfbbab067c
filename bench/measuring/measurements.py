"""A target's answer on its way into the cache and out of it: checked, kept, read again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.arrays import Array, digest_arrays, load_arrays, save_arrays
from bench.core.errors import TargetError
from bench.core.plain_json import read_model
from bench.plan.metrics import MetricName, describe
from bench.records.measurement import MeasurementRecord
from targets.protocol import Capabilities, Measurement

if TYPE_CHECKING:
    # The cache's code shapes no measurement, and this module is in every fingerprint.
    from bench.cache import Entry

__all__ = [
    "EVENTS",
    "KEEPING_CODE",
    "keep_measurement",
    "kept_measurement",
    "requested_events",
]

#: The code through which every measurement passes on its way into the cache.
KEEPING_CODE = (__name__,)

#: The events that every measurement requests: those of the judged metrics.
EVENTS = tuple(event for m in MetricName if (event := describe(m).event) is not None)
#: What is asked only of targets that can count it. Elsewhere its absence says nothing new.
_IF_COUNTED = ("NPU_IDLE",)

_OUTPUTS, _MEASUREMENT = "outputs.npz", "measurement.json"


def requested_events(capabilities: Capabilities) -> tuple[str, ...]:
    """The events to be counted on a target."""
    more = (event for event in _IF_COUNTED if event in capabilities.events)
    return (*EVENTS, *more)


def keep_measurement(directory: Path, cell_id: str, measurement: Measurement) -> None:
    """Write a measurement into its cache entry. Raises `TargetError` for an incomplete one."""
    _check_answer(cell_id, measurement)
    save_arrays(directory / _OUTPUTS, measurement.outputs)
    kept = MeasurementRecord(
        source=measurement.source,
        counters=dict(measurement.counters),
        unavailable=dict(measurement.unavailable),
        kinds=dict(measurement.kinds),
        uncertainty=dict(measurement.uncertainty),
        unsupported=measurement.unsupported,
        provenance=dict(measurement.provenance),
        layers=measurement.layers,
        explanation=measurement.explanation,
        outputs_sha256=digest_arrays(measurement.outputs) if measurement.outputs else "",
        outputs_absent=measurement.outputs_absent,
    )
    (directory / _MEASUREMENT).write_text(kept.model_dump_json(indent=1), encoding="utf-8")


def kept_measurement(entry: Entry) -> tuple[MeasurementRecord, tuple[Array, ...]]:
    """The measurement and its outputs, as `keep_measurement` wrote them."""
    kept = read_model(entry.file(_MEASUREMENT).read_bytes(), MeasurementRecord)
    return kept, load_arrays(entry.file(_OUTPUTS))


def _check_answer(cell_id: str, measurement: Measurement) -> None:
    """Refuse an answer that leaves something out without a reason, or has an impossible count."""
    silent = [
        event
        for event in EVENTS
        if event not in measurement.counters and event not in measurement.unavailable
    ]
    if silent:
        raise TargetError(
            f"{cell_id}: the target gave neither a count nor a reason for {', '.join(silent)}"
        )
    for event, count in measurement.counters.items():
        if not isinstance(count, int) or not 0 <= count < 1 << 63:
            raise TargetError(f"{cell_id}: the target says that {event} is {count!r}, not a count")
    if bool(measurement.outputs) == bool(measurement.outputs_absent):
        raise TargetError(f"{cell_id}: the target gave neither outputs nor a reason, or both")
