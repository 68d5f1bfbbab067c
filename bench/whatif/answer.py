"""The answer to a what-if: everything that is shown of it, as data."""

from __future__ import annotations

from typing import Literal

from bench.core.schema import RecordModel
from bench.plan.config import Binding
from bench.plan.metrics import MetricName
from bench.records.figures import Figure
from bench.records.quality import AccuracyRecord
from bench.records.record import DataIdentity
from bench.tflite.compression.layers import Choice
from bench.tflite.compression.points import Spacing
from bench.whatif.break_even import LayerBreakEven
from bench.whatif.distance import OutputDistance
from bench.whatif.knee import Gain
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = [
    "BreakEvenAnswer",
    "CellAnswer",
    "KneeAnswer",
    "LayerAnswer",
    "PointAnswer",
    "SweepAnswer",
    "WhatIfAnswer",
]


class LayerAnswer(RecordModel):
    """A layer with weights, as the model has it."""

    name: str
    #: TFLite's name of the operator.
    operator: str
    weights: int
    #: Share of them that are zero, 0..1.
    sparsity: float
    #: How many different ones there are.
    distinct: int
    #: Whether each output channel has a scale of its own.
    per_channel: bool
    choice: Choice


class PointAnswer(RecordModel):
    """A point, and what it does to the model's answers."""

    #: `base` for the model as it is, `p80`, `c32`, `p80_c32`.
    point: str
    words: str
    #: What was asked for; None where the weights are left as they are.
    sparsity: float | None
    clusters: int | None
    model_sha256: str
    #: Share of the weights of the compressed layers that are zero, 0..1.
    zeros: float
    #: Of the compressed layers: the most different weights that one has, and a channel of one.
    distinct: int
    distinct_in_channel: int
    #: On the workload's data; absent, with the reason, without labels.
    accuracy: AccuracyRecord | None
    accuracy_absent: str
    #: From the outputs of the model as it is; absent, with the reason, if there are no outputs.
    distance: OutputDistance | None
    distance_absent: str


class CellAnswer(RecordModel):
    """The figures of a point on one configuration of the NPU."""

    point: str
    macs: Accelerator
    memory_mode: MemoryMode
    figures: dict[MetricName, Figure]
    #: The resource that binds most of the cycles, and the share of each, 0..1.
    bound_by: str
    binding: dict[str, float]


class SweepAnswer(RecordModel):
    """What limits a point over all MAC counts; see `bench.judging.sweep`."""

    point: str
    memory_mode: MemoryMode
    binding: Binding
    efficiency: float
    #: The binding memory at the most MACs; empty if arithmetic binds.
    memory: str
    memory_share: float
    reason: str
    disagreement: str


class KneeAnswer(RecordModel):
    """From which point on more compression saves no time; see `bench.whatif.knee`."""

    memory_mode: MemoryMode
    macs: Accelerator
    point: str
    gain: Gain
    #: Share of the cycles of the model as it is that the knee saves.
    saved: float


class BreakEvenAnswer(LayerBreakEven):
    """A layer that waits for its weights in the model as it is."""

    memory_mode: MemoryMode
    macs: Accelerator
    #: The points at which no memory binds it any more.
    reached_by: tuple[str, ...]


class WhatIfAnswer(RecordModel):
    """The whole answer. Cycles are the simulator's estimate; sizes are what Vela wrote."""

    schema_version: Literal[1] = 1
    #: Its file, or the workload.
    model: str
    model_sha256: str
    size_bytes: int
    vela_version: str
    data: DataIdentity
    #: Whether each output channel had clusters of its own.
    clusters_per_channel: bool
    spacing: Spacing
    layers: tuple[LayerAnswer, ...]
    #: The model as it is comes first.
    points: tuple[PointAnswer, ...]
    cells: tuple[CellAnswer, ...]
    sweeps: tuple[SweepAnswer, ...]
    knees: tuple[KneeAnswer, ...]
    break_evens: tuple[BreakEvenAnswer, ...]
    #: What a reader must know besides, a sentence each.
    remarks: tuple[str, ...]
