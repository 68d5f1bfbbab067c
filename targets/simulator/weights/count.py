"""How many weights an operation streams, and how many of them are zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from targets.artefact.model import FlashRegion, NpuOperator
from targets.artefact.stream.operations import Conv, Depthwise
from targets.simulator.weights.compression import WeightStream
from targets.simulator.weights.decoding import decode_weights
from targets.simulator.weights.traversal import traversal_of

__all__ = ["weight_stream"]


def weight_stream(operators: Sequence[NpuOperator], indices: Sequence[int]) -> WeightStream | None:
    """The weights of some operations together; indices count those of all `operators`.

    None unless all of them stream weights from a model's constants; weights that a DMA transfer
    has copied to the arena are not found. Raises `StreamError` for a damaged stream.
    """
    pairs = [(operator, operation) for operator in operators for operation in operator.operations]
    streams = [_of_operation(*pairs[index]) for index in indices]
    known = [stream for stream in streams if stream is not None]
    if not known or len(known) < len(streams):
        return None
    return WeightStream(
        sum(stream.weights for stream in known),
        sum(stream.zeros for stream in known),
        sum(stream.encoded_bytes for stream in known),
    )


def _of_operation(operator: NpuOperator, operation: object) -> WeightStream | None:
    if not isinstance(operation, (Conv, Depthwise)):
        return None
    region = operator.regions.get(operation.weights.region)
    if not isinstance(region, FlashRegion):
        return None
    place, kernel = operation.weights, operation.kernel
    inputs = 1 if isinstance(operation, Depthwise) else operation.ifm.depth
    weights = decode_weights(
        region.data[place.address : place.address + place.length],
        (operation.ofm.depth, kernel.height, kernel.width, inputs),
        traversal_of(operation, operator.payload.macs),
        word=operation.word,
        operation=type(operation).__name__,
    )
    zeros = weights.size - int(np.count_nonzero(weights))
    return WeightStream(weights.size, zeros, place.length)
