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
    "accuracy_better",
    "describe",
]


class Better(str, Enum):
    """Which way a figure improves."""

    LOWER = "lower"
    HIGHER = "higher"


class MetricName(str, Enum):
    """A judged figure, named as in `bench.toml`, in records and in JUnit properties."""

    ACCURACY = "accuracy"
    ENCODED_WEIGHTS = "encoded_weights_kib"
    ENCODING_RATIO = "encoding_ratio"
    DEVICE_MODEL = "device_model_kib"
    SRAM = "sram_kib"
    FLASH = "flash_kib"
    NPU_CYCLES = "npu_cycles"
    INFERENCE_MS = "inference_ms"
    ACTIVE_SHARE = "npu_active_share"
    MEMORY_WAIT = "memory_wait_share"
    AXI0_READ = "axi0_read_beats"
    AXI0_WRITE = "axi0_write_beats"
    AXI1_READ = "axi1_read_beats"
    REFERENCE = "reference_mismatches"
    CPU_OPERATORS = "cpu_operators"
    MACS = "macs"


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is shown and which way it improves."""

    title: str
    unit: str
    better: Better
    #: The PMU event of the metric, if it has one.
    event: str | None = None
    #: Whether it counts only what runs on the NPU, so that an operator that leaves the NPU makes
    #: it look better.
    of_npu: bool = False


_INFO = {
    MetricName.ACCURACY: MetricInfo("accuracy", "", Better.HIGHER),
    MetricName.ENCODED_WEIGHTS: MetricInfo("encoded weights", "KiB", Better.LOWER, of_npu=True),
    MetricName.ENCODING_RATIO: MetricInfo("encoded / original weights", "", Better.LOWER),
    MetricName.DEVICE_MODEL: MetricInfo("device model", "KiB", Better.LOWER),
    MetricName.SRAM: MetricInfo("SRAM", "KiB", Better.LOWER),
    MetricName.FLASH: MetricInfo("constants in flash", "KiB", Better.LOWER),
    MetricName.NPU_CYCLES: MetricInfo(
        "NPU cycles", "cycles", Better.LOWER, "NPU_ACTIVE", of_npu=True
    ),
    MetricName.INFERENCE_MS: MetricInfo("NPU time", "ms", Better.LOWER, of_npu=True),
    MetricName.ACTIVE_SHARE: MetricInfo("share of time the NPU is active", "", Better.HIGHER),
    MetricName.MEMORY_WAIT: MetricInfo(
        "share of cycles that wait for a memory", "", Better.LOWER, of_npu=True
    ),
    MetricName.AXI0_READ: MetricInfo(
        "AXI0 read", "beats", Better.LOWER, "AXI0_RD_DATA_BEAT_RECEIVED", of_npu=True
    ),
    MetricName.AXI0_WRITE: MetricInfo(
        "AXI0 write", "beats", Better.LOWER, "AXI0_WR_DATA_BEAT_WRITTEN", of_npu=True
    ),
    MetricName.AXI1_READ: MetricInfo(
        "AXI1 read", "beats", Better.LOWER, "AXI1_RD_DATA_BEAT_RECEIVED", of_npu=True
    ),
    MetricName.REFERENCE: MetricInfo("reference mismatches", "elements", Better.LOWER),
    MetricName.CPU_OPERATORS: MetricInfo("operators on the CPU", "operators", Better.LOWER),
    MetricName.MACS: MetricInfo("MACs", "MACs", Better.LOWER, of_npu=True),
}

#: The figures of the NPU alone; an operator that leaves the NPU makes them smaller.
NPU_FIGURES = frozenset(metric for metric, info in _INFO.items() if info.of_npu)


def describe(metric: MetricName) -> MetricInfo:
    """What is known of `metric`."""
    return _INFO[metric]


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


def accuracy_better(name: str) -> Better | None:
    """Which way a figure of merit improves; None for a function of the user's."""
    if name in (AccuracyMetric.MSE, AccuracyMetric.MAE):
        return Better.LOWER
    return Better.HIGHER if name in [metric.value for metric in AccuracyMetric] else None
