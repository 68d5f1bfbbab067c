"""The compressed models of a what-if, in place of a workload's variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measuring.origins import QuantisedModel
from bench.measuring.preparation import VariantSource
from bench.measuring.products import ProductStore
from bench.measuring.testsets import TestSet
from bench.measuring.what_if import compressed_model
from bench.plan.config import BASE_VARIANT, Workload
from bench.tflite.compression.compressing import LayerWeights, layer_weights
from bench.tflite.compression.layers import (
    ChosenLayer,
    LayerChoice,
    chosen_layers,
    weight_layers,
)
from bench.tflite.compression.points import UNCHANGED, Clustering, Point
from bench.tflite.reader import read_graph

__all__ = ["PointModels", "counted_layers"]


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
        return compressed_model(
            self.store, f"{name}-{variant}", base, point, self.choice, self.clustering
        )

    def test_set(self, name: str, workload: Workload, model: QuantisedModel) -> TestSet:
        """See `ModelSource.test_set`; compression does not change a model's inputs."""
        return self.source.test_set(name, workload, model)
