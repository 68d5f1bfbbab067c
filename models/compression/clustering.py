"""Clustering: fine-tuning while kernels are restricted to shared values. Uses TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.compression.wrapping import wrap
from models.runtime import tfmot
from models.spec import ClusterSpec
from models.training import OnProgress, TrainingSet, fit

__all__ = ["cluster"]

_CENTROIDS = {
    "linear": "LINEAR",
    "density": "DENSITY_BASED",
    "kmeans++": "KMEANS_PLUS_PLUS",
    # Replaced as soon as the kernel is there.
    "even": "LINEAR",
}


def cluster(
    model: Any,
    layers: Sequence[str],
    spec: ClusterSpec,
    data: TrainingSet,
    on_progress: OnProgress,
) -> Any:
    """A fine-tuned copy of `model` with few different values in each kernel of `layers`."""
    wrapped = wrap(model, layers, lambda layer: _wrapper(layer, spec))
    fit(wrapped, spec.learning_rate, spec.batch_size, data, on_progress)
    return tfmot.clustering.keras.strip_clustering(wrapped)


def _wrapper(layer: Any, spec: ClusterSpec) -> Any:
    # The public cluster_weights takes neither preserve_sparsity nor cluster_per_channel. The
    # experimental one leaves out, without an error, convolutions whose channels it takes for too
    # small: it counts them wrongly if there is no bias. `models.compression.fitness` counts better.
    from tensorflow_model_optimization.python.core.clustering.keras.cluster_wrapper import (
        ClusterWeights,
    )

    class EvenClusterWeights(ClusterWeights):  # type: ignore[misc]
        """Its values are the same distance apart, and stay: training moves weights between them."""

        @property
        def trainable_weights(self) -> Any:
            fixed = {id(centroids) for centroids in self.cluster_centroids.values()}
            return [weight for weight in super().trainable_weights if id(weight) not in fixed]

        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            for name, centroids in self.cluster_centroids.items():
                weight = self.original_clusterable_weights[name]
                axes = tuple(range(len(weight.shape) - 1)) if spec.per_channel else None
                centroids.assign(_evenly(np.abs(weight.numpy()).max(axis=axes), spec, layer.name))
                indices = self.clustering_algorithms[name].get_pulling_indices(weight)
                self.pulling_indices[name].assign(indices)

    even = spec.initialisation == "even"
    kinds = tfmot.clustering.keras.CentroidInitialization
    return (EvenClusterWeights if even else ClusterWeights)(
        layer,
        number_of_clusters=spec.values(layer.name),
        cluster_centroids_init=getattr(kinds, _CENTROIDS[spec.initialisation]),
        preserve_sparsity=spec.preserve_sparsity,
        cluster_per_channel=spec.per_channel,
    )


def _evenly(largest: npt.NDArray[np.float32], spec: ClusterSpec, layer: str) -> Any:
    """Values from -largest to largest, `[..., values]`; to keep zeros, one of them is zero."""
    count = spec.values(layer)
    steps = np.linspace(-1, 1, count)
    if spec.preserve_sparsity and count % 2 == 0:
        # An odd number has zero in the middle, and the last one is there twice.
        steps = np.append(np.linspace(-1, 1, count - 1), 1.0)
    return np.multiply.outer(largest, steps).astype(np.float32)
