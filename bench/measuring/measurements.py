"""A target's answer on its way into a record: checked, kept in the cache, read again, evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.cache import Entry
from bench.compiler import VelaReport
from bench.core.arrays import Array, digest_arrays, load_arrays, save_arrays
from bench.core.errors import TargetError
from bench.measuring.accuracy import dequantise, evaluate
from bench.measuring.sources import QuantisedModel, TestSet
from bench.plan.cell import Cell
from bench.plan.metrics import MetricName, describe
from bench.records.binding import CellBinding, binding_of_layers, binding_of_report
from bench.records.measurement import MeasurementRecord
from bench.records.record import AccuracyRecord
from targets.protocol import Capabilities, Measurement

__all__ = [
    "EVENTS",
    "accuracy_of",
    "binding",
    "keep_measurement",
    "kept_measurement",
    "promised",
]

#: The events every measurement asks for: those the judged metrics are read from.
EVENTS = tuple(event for m in MetricName if (event := describe(m).event) is not None)

_OUTPUTS, _MEASUREMENT = "outputs.npz", "measurement.json"


def keep_measurement(directory: Path, cell: Cell, measurement: Measurement) -> None:
    """Write a measurement into its cache entry. Raises `TargetError` for an incomplete one."""
    _check_answer(cell, measurement)
    save_arrays(directory / _OUTPUTS, measurement.outputs)
    kept = _record_measurement(measurement)
    (directory / _MEASUREMENT).write_text(kept.model_dump_json(indent=1))


def kept_measurement(entry: Entry) -> tuple[MeasurementRecord, tuple[Array, ...]]:
    """What `keep_measurement` wrote: the measurement, and one array for each model output."""
    kept = MeasurementRecord.model_validate_json(entry.file(_MEASUREMENT).read_text())
    return kept, load_arrays(entry.file(_OUTPUTS))


def _record_measurement(measurement: Measurement) -> MeasurementRecord:
    return MeasurementRecord(
        source=measurement.source,
        counters=dict(measurement.counters),
        unavailable=dict(measurement.unavailable),
        kinds=dict(measurement.kinds),
        provenance=dict(measurement.provenance),
        layers=measurement.layers,
        explanation=measurement.explanation,
        outputs_sha256=digest_arrays(measurement.outputs),
    )


def promised(capabilities: Capabilities, test_set: TestSet) -> tuple[MetricName, ...]:
    """The figures a target gives of every model on `test_set`, in the order of `MetricName`."""
    whole = capabilities.samples is None or capabilities.samples >= test_set.identity.samples
    given = {
        MetricName.ACCURACY: whole and test_set.labels is not None,
        MetricName.REFERENCE: capabilities.executes_artefact,
    }
    for metric in MetricName:
        event = describe(metric).event
        if event is not None:
            given[metric] = event in capabilities.events
    return tuple(metric for metric in MetricName if given.get(metric, True))


def binding(measurement: MeasurementRecord, report: VelaReport) -> CellBinding:
    """What binds the cell: by the target's own account, else by Vela's estimate."""
    if measurement.layers:
        return binding_of_layers(measurement.layers)
    return binding_of_report(report)


def accuracy_of(
    model: QuantisedModel, outputs: Sequence[Array], test_set: TestSet
) -> tuple[AccuracyRecord | None, str]:
    """The accuracy of the target's own outputs, or why there is none."""
    if test_set.labels is None:
        return None, test_set.labels_absent
    tensor = model.file.outputs[0]
    scores = outputs[0]
    if tensor.scales:
        scores = dequantise(scores, tensor.scales[0], tensor.zero_points[0])
    value = evaluate(test_set.metric, scores, test_set.labels)
    return AccuracyRecord(metric=test_set.metric, value=value, samples=len(scores)), ""


def _check_answer(cell: Cell, measurement: Measurement) -> None:
    """Refuse an answer that leaves an event out without a word."""
    silent = [
        event
        for event in EVENTS
        if event not in measurement.counters and event not in measurement.unavailable
    ]
    if silent:
        raise TargetError(
            f"{cell.id}: the target gave neither a count nor a reason for {', '.join(silent)}"
        )
