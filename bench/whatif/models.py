"""The compressed models of a what-if, in place of a workload's variants."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import ModelError
from bench.measuring.preparation import VariantSource
from bench.measuring.products import ProductStore
from bench.measuring.sources import QuantisedModel
from bench.measuring.testsets import TestSet
from bench.plan.config import BASE_VARIANT, Workload
from bench.tflite.model_file import check_quantised
from bench.tflite.reader import graph_of, read_graph
from bench.whatif.compressing import LayerWeights, compressed, layer_weights
from bench.whatif.layers import ChosenLayer, LayerChoice, chosen_layers, weight_layers
from bench.whatif.points import UNCHANGED, Clustering, Point

__all__ = ["COMPRESSING_CODE", "PointModels", "counted_layers", "layers_of_model"]

#: What changes the weights.
COMPRESSING_CODE = ("bench.whatif.compressing",)

_MODEL = "model.tflite"


def layers_of_model(path: Path, choice: LayerChoice) -> tuple[ChosenLayer, ...]:
    """The layers of the model at `path`, each with whether it is compressed.

    Raises as `read_graph` and `chosen_layers` do.
    """
    return chosen_layers(weight_layers(read_graph(path)), choice)


def counted_layers(path: Path, choice: LayerChoice) -> tuple[tuple[ChosenLayer, LayerWeights], ...]:
    """The same, with what the weights of each are in the model at `path`."""
    graph = read_graph(path)
    chosen = chosen_layers(weight_layers(graph), choice)
    return tuple((each, layer_weights(graph, each.layer)) for each in chosen)


@dataclass(frozen=True)
class PointModels:
    """A `VariantSource` whose variants are the points of a what-if.

    All have the test set of the model as it is.
    """

    store: ProductStore
    #: Where the workload's own model and test set come from.
    source: VariantSource
    #: Variant -> what it stands for.
    points: Mapping[str, Point]
    choice: LayerChoice
    clustering: Clustering

    def quantised(self, name: str, workload: Workload, variant: str) -> QuantisedModel:
        """The model of the point with the slug `variant`.

        Raises as `ModelSource.quantised` and `chosen_layers` do, and `ModelError` where the
        compressed model is not what the point wants.
        """
        base, point = self.source.quantised(name, workload, BASE_VARIANT), self.points[variant]
        if point == UNCHANGED:
            return base
        chosen = layers_of_model(base.path, self.choice)
        layers = [each.layer for each in chosen if each.compressed]

        def build(directory: Path) -> None:
            data = compressed(read_graph(base.path), layers, point, self.clustering)
            graph = graph_of(data, base.path)
            for layer in layers:
                _check(layer_weights(graph, layer), point, layer.name, self.clustering)
            (directory / _MODEL).write_bytes(data)

        product = self.store.product(
            "what_if",
            f"{name}-{variant}",
            {
                "model": base.record.sha256,
                "sparsity": point.sparsity,
                "clusters": point.clusters,
                "per_channel": self.clustering.per_channel,
                "spacing": self.clustering.spacing.value,
                "tensors": [layer.tensor for layer in layers],
            },
            COMPRESSING_CODE,
        )
        path = self.store.obtain(product, build).file(_MODEL)
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        record = base.record.model_copy(
            update={
                "sha256": sha256,
                "size_bytes": len(data),
                "provenance": {**base.record.provenance, "what_if": point.words},
            }
        )
        return QuantisedModel(path, check_quantised(data, base.path), record)

    def test_set(self, name: str, workload: Workload, model: QuantisedModel) -> TestSet:
        """See `ModelSource.test_set`; compression does not change a model's inputs."""
        return self.source.test_set(name, workload, model)


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
