"""A quantised model with its stored weights pruned and clustered, kept in the cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.core.errors import ModelError
from bench.measuring.origins import QuantisedModel
from bench.measuring.products import ProductStore
from bench.tflite.compression.compressing import LayerWeights, compressed, layer_weights
from bench.tflite.compression.layers import (
    ChosenLayer,
    LayerChoice,
    chosen_layers,
    weight_layers,
)
from bench.tflite.compression.points import Clustering, Point
from bench.tflite.model_file import check_quantised
from bench.tflite.reader import graph_of, read_graph

__all__ = ["COMPRESSING_CODE", "compressed_model", "layers_of_model"]

#: What changes the weights.
COMPRESSING_CODE = ("bench.tflite.compression.compressing",)

_MODEL = "model.tflite"


def layers_of_model(path: Path, choice: LayerChoice) -> tuple[ChosenLayer, ...]:
    """The layers of the model at `path`, each with whether it is compressed.

    Raises as `read_graph` and `chosen_layers` do.
    """
    return chosen_layers(weight_layers(read_graph(path)), choice)


def compressed_model(
    store: ProductStore,
    name: str,
    base: QuantisedModel,
    point: Point,
    choice: LayerChoice,
    clustering: Clustering,
) -> QuantisedModel:
    """`base` with the chosen layers as `point` says; `name` is for people.

    Raises as `layers_of_model` does, and `ModelError` where the compressed model is not what the
    point wants.
    """
    chosen = layers_of_model(base.path, choice)
    layers = [each.layer for each in chosen if each.compressed]

    def build(directory: Path) -> None:
        data = compressed(read_graph(base.path), layers, point, clustering)
        graph = graph_of(data, base.path)
        for layer in layers:
            _check(layer_weights(graph, layer), point, layer.name, clustering)
        (directory / _MODEL).write_bytes(data)

    product = store.product(
        "what_if",
        name,
        {
            "model": base.record.sha256,
            "sparsity": point.sparsity,
            "clusters": point.clusters,
            "per_channel": clustering.per_channel,
            "spacing": clustering.spacing.value,
            "tensors": [layer.tensor for layer in layers],
        },
        COMPRESSING_CODE,
    )
    path = store.obtain(product, build).file(_MODEL)
    data = path.read_bytes()
    record = base.record.model_copy(
        update={
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "provenance": {**base.record.provenance, "what_if": point.words},
        }
    )
    return QuantisedModel(path, check_quantised(data, base.path), record)


def _check(weights: LayerWeights, point: Point, layer: str, clustering: Clustering) -> None:
    """Raise `ModelError` unless a compressed layer is as sparse and clustered as `point` wants."""
    zeros = round((point.sparsity or 0) * weights.weights)
    distinct = weights.distinct_in_channel if clustering.per_channel else weights.distinct
    if weights.zeros < zeros or (point.clusters is not None and distinct > point.clusters):
        raise ModelError(
            f"layer {layer}: {weights.zeros} of {weights.weights} weights are zero and {distinct} "
            f"are different, which is not {point.words}",
            cure="report this as a fault of the bench",
        )
