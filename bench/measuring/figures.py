"""The figures of a record that are computed from a target's answer.

The code is pure, except that a user's metric runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from bench.compiler import VelaReport
from bench.core.arrays import Array
from bench.measuring.origins import QuantisedModel
from bench.measuring.quantisation import dequantise
from bench.measuring.scoring.custom_metric import evaluate_custom
from bench.measuring.scoring.labels import are_of_steps
from bench.measuring.scoring.scores import Scored, evaluate
from bench.measuring.testsets import TestSet
from bench.plan.config import CustomMetric
from bench.plan.metrics import AccuracyMetric, MetricName, describe
from bench.records.binding import CellBinding, binding_of_layers, binding_of_report
from bench.records.measurement import MeasurementRecord
from bench.records.quality import AccuracyRecord
from targets.protocol import Capabilities

__all__ = ["accuracy_of", "binding", "promised"]


def promised(capabilities: Capabilities, test_set: TestSet) -> tuple[MetricName, ...]:
    """The figures that a target gives for every model on `test_set`, in `MetricName`'s order."""
    whole = capabilities.samples is None or capabilities.samples >= test_set.inferences
    given = {
        MetricName.ACCURACY: whole and test_set.labels is not None,
        MetricName.REFERENCE: capabilities.executes_artefact,
    }
    for metric in MetricName:
        event = describe(metric).event
        if event is not None:
            given[metric] = event in capabilities.events
    given[MetricName.INFERENCE_MS] = given[MetricName.NPU_CYCLES]
    given[MetricName.ACTIVE_SHARE] = {"NPU_ACTIVE", "NPU_IDLE"} <= capabilities.events
    return tuple(metric for metric in MetricName if given.get(metric, True))


def binding(measurement: MeasurementRecord, report: VelaReport) -> CellBinding:
    """What binds the cell, according to the target or, if it does not say, to Vela."""
    if measurement.layers:
        return binding_of_layers(measurement.layers)
    return binding_of_report(report)


def accuracy_of(
    model: QuantisedModel,
    measurement: MeasurementRecord,
    outputs: Sequence[Array],
    test_set: TestSet,
) -> tuple[AccuracyRecord | None, str]:
    """The accuracy of the target's own outputs, or why there is none."""
    if test_set.labels is None:
        return None, test_set.labels_absent
    if not outputs:
        return None, measurement.outputs_absent
    tensor = model.file.outputs[test_set.output]
    real = (
        partial(dequantise, scale=tensor.scales[0], zero_point=tensor.zero_points[0])
        if tensor.scales
        else np.asarray
    )
    metric = test_set.metric
    judged, labels = _judged(outputs[test_set.output], test_set.labels, test_set)
    scored = Scored(judged, labels, real)
    if isinstance(metric, CustomMetric):
        name, value = metric.name, evaluate_custom(metric, scored)
    else:
        name, value = metric.value, evaluate(metric, scored)
    return AccuracyRecord(
        metric=name,
        value=value,
        samples=len(outputs[test_set.output]),
        saturated=test_set.saturated,
    ), ""


def _judged(outputs: Array, labels: Array, test_set: TestSet) -> tuple[Array, Array]:
    """Outputs and labels, one for one: `[m, ...]` both.

    Of streams, all steps are judged if each has a label, and otherwise the last.
    """
    steps = test_set.identity.steps
    if steps is None:
        return outputs, labels
    metric = test_set.metric if isinstance(test_set.metric, AccuracyMetric) else None
    if not are_of_steps(labels.shape, steps, metric):
        return outputs[:, -1], labels
    every = len(outputs) * steps
    return outputs.reshape(every, *outputs.shape[2:]), labels.reshape(every, *labels.shape[2:])
