"""The answer to a what-if, from the records of its cells. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.judging.sweep import classify
from bench.plan.config import SweepConfig
from bench.plan.metrics import MetricName, describe
from bench.records.binding import MEMORIES, CellBinding
from bench.records.figures import Absent, Figure, Number
from bench.records.layers import layer_summaries
from bench.records.metric_values import metric_value
from bench.records.record import Record
from bench.tflite.compression.compressing import LayerWeights
from bench.tflite.compression.layers import ChosenLayer
from bench.tflite.compression.points import UNCHANGED, Clustering, Point
from bench.whatif.answer import (
    BreakEvenAnswer,
    CellAnswer,
    KneeAnswer,
    LayerAnswer,
    PointAnswer,
    SweepAnswer,
    WhatIfAnswer,
)
from bench.whatif.break_even import LayerBreakEven
from bench.whatif.distance import OutputDistance
from bench.whatif.knee import find_knee
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = ["Place", "PointFacts", "answer_of"]

_FIGURES = (
    MetricName.ENCODED_WEIGHTS,
    MetricName.DEVICE_MODEL,
    MetricName.SRAM,
    MetricName.FLASH,
    MetricName.NPU_CYCLES,
    MetricName.INFERENCE_MS,
    MetricName.MEMORY_WAIT,
)


@dataclass(frozen=True)
class Place:
    """A configuration of the NPU."""

    memory_mode: MemoryMode
    macs: Accelerator


@dataclass(frozen=True)
class PointFacts:
    """What is known of a point besides its records."""

    point: Point
    #: The weights of each layer of the model, in its order.
    weights: tuple[LayerWeights, ...]
    distance: OutputDistance | None
    distance_absent: str


def answer_of(
    *,
    model: str,
    layers: Sequence[ChosenLayer],
    facts: Sequence[PointFacts],
    records: Mapping[tuple[Point, Place], Record],
    break_evens: Mapping[Place, Sequence[LayerBreakEven]],
    sweep: SweepConfig,
    clustering: Clustering,
) -> WhatIfAnswer:
    """The answer.

    Args:
        model: its file, or the workload.
        layers: all layers with weights.
        facts: of each point, the model as it is first.
        records: of each point at each place.
        break_evens: of the model as it is, at each place.
        sweep: when a network counts as starved.
        clustering: how weights were clustered.
    """
    points = [each.point for each in facts]
    places = list(dict.fromkeys(place for _, place in records))
    base = records[UNCHANGED, places[0]]
    return WhatIfAnswer(
        model=model,
        model_sha256=base.model.sha256,
        size_bytes=base.model.size_bytes,
        vela_version=base.compilation.vela_version,
        data=base.data,
        clusters_per_channel=clustering.per_channel,
        spacing=clustering.spacing,
        layers=tuple(map(_layer, layers, facts[0].weights)),
        points=tuple(_point(each, layers, records[each.point, places[0]]) for each in facts),
        cells=tuple(_cell(records[point, place], point) for place in places for point in points),
        sweeps=_sweeps(points, places, records, sweep),
        knees=_knees(points, places, records),
        break_evens=tuple(
            _break_even(each, place, points, records)
            for place in places
            for each in break_evens[place]
        ),
        remarks=_remarks(layers, points, records, clustering),
    )


def _layer(chosen: ChosenLayer, weights: LayerWeights) -> LayerAnswer:
    return LayerAnswer(
        name=chosen.layer.name,
        operator=chosen.layer.kind,
        weights=weights.weights,
        sparsity=weights.sparsity,
        distinct=weights.distinct,
        per_channel=chosen.layer.has_channel_scales,
        choice=chosen.choice,
    )


def _point(facts: PointFacts, layers: Sequence[ChosenLayer], record: Record) -> PointAnswer:
    changed = [
        weights for chosen, weights in zip(layers, facts.weights, strict=True) if chosen.compressed
    ]
    point = facts.point
    return PointAnswer(
        point=point.slug,
        words=point.words,
        sparsity=point.sparsity,
        clusters=point.clusters,
        model_sha256=record.model.sha256,
        zeros=sum(each.zeros for each in changed) / sum(each.weights for each in changed),
        distinct=max(each.distinct for each in changed),
        distinct_in_channel=max(each.distinct_in_channel for each in changed),
        accuracy=record.accuracy,
        accuracy_absent=record.accuracy_absent,
        distance=facts.distance,
        distance_absent=facts.distance_absent,
    )


def _cell(record: Record, point: Point) -> CellAnswer:
    shares = record.binding
    return CellAnswer(
        point=point.slug,
        macs=record.cell.macs,
        memory_mode=record.cell.memory_mode,
        figures={metric: _figure(record, metric) for metric in _FIGURES},
        bound_by=max(shares, key=shares.__getitem__) if shares else "",
        binding=shares,
    )


def _figure(record: Record, metric: MetricName) -> Figure:
    value = metric_value(record, metric)
    return value if isinstance(value, Absent) else Number(value=value, unit=describe(metric).unit)


def _cycles(record: Record) -> int | None:
    """The NPU's cycles; None if nothing runs there."""
    value = metric_value(record, MetricName.NPU_CYCLES)
    return None if isinstance(value, Absent) or not value else round(value)


def _sweeps(
    points: Sequence[Point],
    places: Sequence[Place],
    records: Mapping[tuple[Point, Place], Record],
    config: SweepConfig,
) -> tuple[SweepAnswer, ...]:
    """What limits each point in each memory mode; nothing for a single MAC count."""
    found = []
    for mode in dict.fromkeys(place.memory_mode for place in places):
        mine = [place for place in places if place.memory_mode is mode]
        for point in points:
            row = {place.macs: records[point, place] for place in mine}
            cycles = {macs: count for macs, one in row.items() if (count := _cycles(one))}
            if len(cycles) < max(2, len(row)):
                continue
            bindings = {macs: CellBinding(record.binding) for macs, record in row.items()}
            result = classify(cycles, bindings, config)
            found.append(
                SweepAnswer(
                    point=point.slug,
                    memory_mode=mode,
                    binding=result.binding,
                    efficiency=result.efficiency,
                    memory=result.memory,
                    memory_share=result.memory_share,
                    reason=result.reason,
                    disagreement=result.disagreement,
                )
            )
    return tuple(found)


def _knees(
    points: Sequence[Point],
    places: Sequence[Place],
    records: Mapping[tuple[Point, Place], Record],
) -> tuple[KneeAnswer, ...]:
    found = []
    for place in places:
        row = {point: records[point, place] for point in points}
        cycles = {point: count for point, one in row.items() if (count := _cycles(one))}
        if len(cycles) < len(row):
            continue
        sizes = {
            point: float(record.compilation.report.encoded_weights_bytes)
            for point, record in row.items()
        }
        knee, gain = find_knee(cycles, sizes, UNCHANGED)
        found.append(
            KneeAnswer(
                memory_mode=place.memory_mode,
                macs=place.macs,
                point=knee.slug,
                gain=gain,
                saved=1 - cycles[knee] / cycles[UNCHANGED],
            )
        )
    return tuple(found)


def _break_even(
    layer: LayerBreakEven,
    place: Place,
    points: Sequence[Point],
    records: Mapping[tuple[Point, Place], Record],
) -> BreakEvenAnswer:
    def is_free(point: Point) -> bool:
        summary = layer_summaries(records[point, place]).get(layer.layer)
        return summary is not None and summary.bound not in MEMORIES

    return BreakEvenAnswer(
        **layer.model_dump(),
        memory_mode=place.memory_mode,
        macs=place.macs,
        reached_by=tuple(point.slug for point in points if is_free(point)),
    )


def _remarks(
    layers: Sequence[ChosenLayer],
    points: Sequence[Point],
    records: Mapping[tuple[Point, Place], Record],
    clustering: Clustering,
) -> tuple[str, ...]:
    told = []
    spread = sum(each.compressed and each.layer.has_channel_scales for each in layers)
    if (
        spread
        and not clustering.per_channel
        and any(point.clusters is not None for point in points)
    ):
        told.append(
            f"{spread} of the compressed layers have a scale for each output channel. Here a layer "
            "shares its stored values; training that clusters real values per tensor spreads them "
            "over all channels' scales and gains less"
        )
    wrong = [
        one.cell.id
        for one in records.values()
        if one.reference and one.reference.mismatches and not one.reference.inexact
    ]
    if wrong:
        told.append(
            f"the outputs of {len(wrong)} cells are not those of the reference interpreter, such "
            f"as {wrong[0]}: measure the model with pytest"
        )
    return tuple(told)
