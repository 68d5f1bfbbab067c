"""The three ways to make a variant's float weights: train, prune, cluster. Uses TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.runtime import tf, tfmot
from models.schedule import TrainingPlan
from models.spec import ClusterSpec, PruneSpec, TrainSpec

__all__ = ["OnProgress", "TrainingSet", "cluster", "prune", "train"]

#: Called with what is happening and the share of the training that is done, 0..1.
OnProgress = Callable[[str, float], None]

#: How often pruning recomputes which weights are zero: 20 times per training. This is often enough
#: for a smooth rise of the sparsity, and rare enough to cost nothing.
_PRUNING_UPDATES = 20

_CENTROIDS = {
    "linear": "LINEAR",
    "density": "DENSITY_BASED",
    "kmeans++": "KMEANS_PLUS_PLUS",
}


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Images float32 `[n, 28, 28]` and labels int64 `[n]` to train on, and for how long."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    plan: TrainingPlan


def train(model: Any, spec: TrainSpec, data: TrainingSet, on_progress: OnProgress) -> Any:
    """Train `model` in place and return it."""
    _fit(model, _learning_rate(spec, data.plan), spec.batch_size, data, on_progress)
    return model


def prune(
    model: Any,
    layers: Iterable[str],
    spec: PruneSpec,
    data: TrainingSet,
    on_progress: OnProgress,
) -> Any:
    """A fine-tuned copy of `model` whose `layers` have the specified share of zeros.

    tfmot updates its masks at multiples of `frequency` up to and including `end_step`. So
    `end_step` is made such a multiple. Otherwise the last update would not reach the final
    sparsity, and a training shorter than tfmot's usual 100 steps would end at the initial one.
    """
    frequency = max(1, (data.plan.steps - 1) // _PRUNING_UPDATES)
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=spec.initial_sparsity,
        final_sparsity=spec.final_sparsity,
        begin_step=0,
        end_step=max(1, (data.plan.steps - 1) // frequency * frequency),
        frequency=frequency,
    )
    wrapped = _wrap(
        model,
        layers,
        lambda layer: tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule),
    )
    step = tfmot.sparsity.keras.UpdatePruningStep()
    rate = _learning_rate(spec, data.plan)
    _fit(wrapped, rate, spec.batch_size, data, on_progress, step)
    return tfmot.sparsity.keras.strip_pruning(wrapped)


def cluster(
    model: Any,
    layers: Iterable[str],
    spec: ClusterSpec,
    data: TrainingSet,
    on_progress: OnProgress,
) -> Any:
    """A fine-tuned copy of `model` with at most `spec.clusters` values per kernel of `layers`."""
    # The public cluster_weights takes no preserve_sparsity; otherwise the two are the same.
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import (
        cluster as experimental,
    )

    initialisation = tfmot.clustering.keras.CentroidInitialization
    wrapped = _wrap(
        model,
        layers,
        lambda layer: experimental.cluster_weights(
            layer,
            number_of_clusters=spec.clusters,
            cluster_centroids_init=getattr(initialisation, _CENTROIDS[spec.initialisation]),
            preserve_sparsity=spec.preserve_sparsity,
        ),
    )
    _fit(wrapped, spec.learning_rate, spec.batch_size, data, on_progress)
    return tfmot.clustering.keras.strip_clustering(wrapped)


def _wrap(model: Any, layers: Iterable[str], wrapper: Callable[[Any], Any]) -> Any:
    """`model` with `wrapper` around the named layers; the layers and their weights are shared."""
    wanted = frozenset(layers)
    return tf.keras.models.clone_model(
        model,
        clone_function=lambda layer: wrapper(layer) if layer.name in wanted else layer,
    )


def _learning_rate(spec: TrainSpec | PruneSpec, plan: TrainingPlan) -> Any:
    """The learning rate for Keras: a number, or a schedule over the optimiser steps."""
    if spec.decay == "cosine":
        return tf.keras.optimizers.schedules.CosineDecay(spec.learning_rate, plan.steps)
    return spec.learning_rate


def _fit(
    model: Any,
    learning_rate: Any,
    batch_size: int,
    data: TrainingSet,
    on_progress: OnProgress,
    *callbacks: Any,
) -> None:
    model.compile(
        optimizer=tf.keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
    )
    fit = data.plan.fit_images
    model.fit(
        data.images[:fit],
        data.labels[:fit],
        batch_size=batch_size,
        epochs=data.plan.epochs,
        verbose=0,
        callbacks=[*callbacks, _reporter(data.plan, on_progress)],
    )


def _reporter(plan: TrainingPlan, on_progress: OnProgress) -> Any:
    """A Keras callback that reports each epoch, and twice per second within an epoch."""

    class Reporter(tf.keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.epoch = 0
            self.reported = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch
            self.report(0)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if time.monotonic() - self.reported > 0.5:
                self.report(batch + 1)

        def report(self, batches: int) -> None:
            self.reported = time.monotonic()
            done = self.epoch * plan.steps_per_epoch + batches
            on_progress(f"epoch {self.epoch + 1}/{plan.epochs}", done / plan.steps)

    return Reporter()
