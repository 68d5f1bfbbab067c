"""A `.tflite` with compressed weights, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.tflite.compression.layers import WeightLayer
from bench.tflite.compression.points import Clustering, Point, Spacing
from bench.tflite.compression.values import cluster, prune, spread
from bench.tflite.extract import EXTRACT_DAMAGE
from bench.tflite.graph import FileGraph
from bench.tflite.rewriting import rewritten
from bench.tflite.sparsity import dense_constant

__all__ = ["LayerWeights", "compressed", "layer_weights"]


@dataclass(frozen=True)
class LayerWeights:
    """The weights of a layer, counted."""

    weights: int
    zeros: int
    #: How many different weights the layer has, zero among them.
    distinct: int
    #: The same of the output channel that has the most.
    distinct_in_channel: int

    @property
    def sparsity(self) -> float:
        """Share of the weights that are zero, 0..1."""
        return self.zeros / self.weights


def compressed(
    graph: FileGraph, layers: Iterable[WeightLayer], point: Point, clustering: Clustering
) -> bytes:
    """The `.tflite` of `graph` with the weights of `layers` as `point` wants them.

    Zeros are placed over the whole layer. With `clustering.per_channel`, each output channel shares
    values of its own; otherwise the layer does. They are values as they are stored, because these
    are what Vela encodes. What is pruned and clustered is first pruned.

    Raises `ModelError` if the file is damaged.
    """
    changed = {layer.tensor: _compressed(graph, layer, point, clustering) for layer in layers}
    try:
        return rewritten(graph, (), changed, {})
    except EXTRACT_DAMAGE as error:
        raise _damaged(str(error)) from error


def layer_weights(graph: FileGraph, layer: WeightLayer) -> LayerWeights:
    """Counts the weights of `layer` in `graph`. Raises `ModelError` if the file is damaged."""
    values = _values(graph, layer)
    channels = np.moveaxis(values, layer.channel_axis, 0)
    return LayerWeights(
        weights=values.size,
        zeros=int(np.count_nonzero(values == _zero_point(layer))),
        distinct=len(np.unique(values)),
        distinct_in_channel=max(len(np.unique(channel)) for channel in channels),
    )


def _compressed(
    graph: FileGraph, layer: WeightLayer, point: Point, clustering: Clustering
) -> Array:
    values = _values(graph, layer)
    scales = _scales(layer, values.ndim)
    if point.sparsity is not None:
        values = prune(values, _zero_point(layer), scales, point.sparsity)
    if point.clusters is not None:
        values = _clustered(values, layer, scales, point.clusters, clustering)
    return values


def _clustered(
    values: Array, layer: WeightLayer, scales: Array, clusters: int, clustering: Clustering
) -> Array:
    if not clustering.per_channel:
        return _shared(values, layer, scales, clusters, clustering.spacing)
    axis = layer.channel_axis
    channels = [
        # The scale is the same for all of a channel.
        _shared(channel, layer, np.ones(1), clusters, clustering.spacing)
        for channel in np.moveaxis(values, axis, 0)
    ]
    return np.moveaxis(np.stack(channels), 0, axis)


def _shared(
    values: Array, layer: WeightLayer, scales: Array, clusters: int, spacing: Spacing
) -> Array:
    if spacing is Spacing.LINEAR:
        return spread(values, _zero_point(layer), clusters)
    return cluster(values, _zero_point(layer), scales, clusters)


def _values(graph: FileGraph, layer: WeightLayer) -> Array:
    """The weights, in their own shape and type."""
    constant = graph.constants[layer.tensor]
    try:
        if layer.info.is_sparse:
            return dense_constant(graph, layer.tensor)
        if constant is None:
            raise ValueError("it has no values")
        return np.frombuffer(constant.tobytes(), layer.info.dtype).reshape(layer.info.shape)
    except EXTRACT_DAMAGE as error:
        raise _damaged(f"the weights {layer.info.name!r}: {error}") from error


def _scales(layer: WeightLayer, rank: int) -> Array:
    """The scales of the weights, so that they broadcast to their shape."""
    scales = np.asarray(layer.info.scales, np.float64)
    if len(scales) == 1:
        return scales
    if len(scales) != layer.info.shape[layer.channel_axis]:
        raise _damaged(
            f"the weights {layer.info.name!r} {list(layer.info.shape)} have {len(scales)} scales"
        )
    shape = [1] * rank
    shape[layer.channel_axis] = -1
    return scales.reshape(shape)


def _zero_point(layer: WeightLayer) -> int:
    """The stored value that stands for 0; one for all, because channels have it at 0."""
    return int(layer.info.zero_points[0]) if layer.info.zero_points else 0


def _damaged(what: str) -> ModelError:
    return ModelError(
        f"the model's weights cannot be compressed: {what}", cure="copy or convert the model again"
    )
