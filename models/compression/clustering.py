"""Clustering: fine-tuning while kernels are restricted to shared values. Uses TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.compression.wrapping import wrap
from models.runtime import tfmot
from models.spec import ClusterSpec
from models.training import OnProgress, TrainingSet, fit

__all__ = ["cluster"]

_CENTROIDS = {
    "linear": "LINEAR",
    "density": "DENSITY_BASED",
    "kmeans++": "KMEANS_PLUS_PLUS",
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

    initialisation = tfmot.clustering.keras.CentroidInitialization
    return ClusterWeights(
        layer,
        number_of_clusters=spec.values(layer.name),
        cluster_centroids_init=getattr(initialisation, _CENTROIDS[spec.initialisation]),
        preserve_sparsity=spec.preserve_sparsity,
        cluster_per_channel=spec.per_channel,
    )
