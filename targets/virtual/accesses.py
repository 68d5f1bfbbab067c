"""Which bytes an operation reads and writes, and through which channel of the NPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Depthwise,
    Dma,
    Elementwise,
    FeatureMap,
    FlashRange,
    Operation,
)
from targets.simulator.execution.dma import transfer_extent
from targets.simulator.execution.feature_maps import extents_of
from targets.virtual.backend import Channel

__all__ = ["Access", "accesses"]


@dataclass(frozen=True)
class Access:
    """Bytes `first` up to `end` (exclusive) of a region. They may lie outside any memory."""

    channel: Channel
    region: int
    first: int
    end: int


def accesses(operation: Operation) -> Iterator[Access]:
    """All accesses of an operation, its reads first. Look-up tables in SHRAM are none."""
    if isinstance(operation, Dma):
        yield from _transfer(operation)
    if not isinstance(operation, BlockOperation):
        return
    yield from _feature_map(Channel.IFM, operation.ifm)
    if isinstance(operation, Elementwise) and operation.ifm2 is not None:
        yield from _feature_map(Channel.IFM, operation.ifm2)
    if isinstance(operation, Conv | Depthwise):
        yield _range(Channel.WEIGHTS, operation.weights)
        yield _range(Channel.SCALES, operation.scales)
    yield from _feature_map(Channel.OFM, operation.ofm)


def _feature_map(channel: Channel, fm: FeatureMap) -> Iterator[Access]:
    for first, end in extents_of(fm):
        yield Access(channel, fm.region, first, end)


def _range(channel: Channel, place: FlashRange) -> Access:
    return Access(channel, place.region, place.address, place.address + place.length)


def _transfer(operation: Dma) -> Iterator[Access]:
    source = transfer_extent(operation, operation.source, operation.source_strided)
    yield Access(Channel.DMA_READ, operation.source_region, *source)
    if operation.destination_region is not None:
        target = transfer_extent(operation, operation.destination, operation.destination_strided)
        yield Access(Channel.DMA_WRITE, operation.destination_region, *target)
