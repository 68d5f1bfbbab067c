"""The figures that the bench judges: their names, units, and which direction is better."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = [
    "NPU_FIGURES",
    "AccuracyMetric",
    "Better",
    "MetricInfo",
    "MetricName",
    "describe",
    "format_value",
]


class Better(str, Enum):
    """Which way a figure improves."""

    LOWER = "lower"
    HIGHER = "higher"


class MetricName(str, Enum):
    """A judged figure, named as in `bench.toml`, in records and in JUnit properties."""

    ACCURACY = "accuracy"
    ENCODED_WEIGHTS = "encoded_weights_kib"
    DEVICE_MODEL = "device_model_kib"
    NPU_CYCLES = "npu_cycles"
    AXI0_READ = "axi0_read_beats"
    AXI0_WRITE = "axi0_write_beats"
    AXI1_READ = "axi1_read_beats"
    REFERENCE = "reference_mismatches"
    CPU_OPERATORS = "cpu_operators"


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is shown and which way it improves."""

    title: str
    unit: str
    better: Better
    #: The PMU event of the metric, if it has one.
    event: str | None = None


_INFO = {
    MetricName.ACCURACY: MetricInfo("accuracy", "", Better.HIGHER),
    MetricName.ENCODED_WEIGHTS: MetricInfo("encoded weights", "KiB", Better.LOWER),
    MetricName.DEVICE_MODEL: MetricInfo("device model", "KiB", Better.LOWER),
    MetricName.NPU_CYCLES: MetricInfo("NPU cycles", "cycles", Better.LOWER, "NPU_ACTIVE"),
    MetricName.AXI0_READ: MetricInfo(
        "AXI0 read", "beats", Better.LOWER, "AXI0_RD_DATA_BEAT_RECEIVED"
    ),
    MetricName.AXI0_WRITE: MetricInfo(
        "AXI0 write", "beats", Better.LOWER, "AXI0_WR_DATA_BEAT_WRITTEN"
    ),
    MetricName.AXI1_READ: MetricInfo(
        "AXI1 read", "beats", Better.LOWER, "AXI1_RD_DATA_BEAT_RECEIVED"
    ),
    MetricName.REFERENCE: MetricInfo("reference mismatches", "elements", Better.LOWER),
    MetricName.CPU_OPERATORS: MetricInfo("operators on the CPU", "operators", Better.LOWER),
}

#: The figures of the NPU alone; an operator that leaves the NPU makes them smaller.
NPU_FIGURES = frozenset(metric for metric, info in _INFO.items() if info.event is not None)


def describe(metric: MetricName) -> MetricInfo:
    """What is known of `metric`."""
    return _INFO[metric]


def format_value(metric: MetricName, value: float) -> str:
    """`value` for people: counts with thousands separators, sizes to 0.01 KiB."""
    info = describe(metric)
    if metric is MetricName.ACCURACY:
        return f"{value:.4f}"
    if info.unit == "KiB":
        return f"{value:,.2f} KiB"
    unit = info.unit.removesuffix("s") if value == 1 else info.unit
    return f"{value:,.0f} {unit}"


class AccuracyMetric(str, Enum):
    """A figure of merit over a dataset."""

    #: Share of rows whose largest output is the labelled class, 0 to 1.
    TOP1 = "top1"
    #: Share of rows whose labelled class is among the five largest outputs, 0 to 1.
    TOP5 = "top5"
    #: F1 score, the mean over the classes, 0 to 1.
    F1 = "f1"
    #: Intersection over union of the pixels' classes, the mean over the classes, 0 to 1.
    IOU = "iou"
    #: Area under the receiver operating characteristic, 0 to 1 (0.5 is guessing).
    AUC = "auc"
    #: Mean squared error against the labels, in the labels' unit squared.
    MSE = "mse"
    #: Mean absolute error against the labels, in the labels' unit.
    MAE = "mae"
