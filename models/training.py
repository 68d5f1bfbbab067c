"""Fitting a Keras model to training data, with the progress told. Uses TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.core.arrays import Array
from models.reading.recipe import LOSS
from models.runtime import tf
from models.schedule import TrainingPlan
from models.spec import Decay

__all__ = ["OnProgress", "TrainingSet", "fit", "learning_rate"]

#: Called with what is happening and the share of the training that is done, 0..1.
OnProgress = Callable[[str, float], None]

#: Training data up to this size, in bytes, is held in memory, where Keras shuffles it as it does
#: for arrays. Of larger data only a batch is.
_IN_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What to train on, for how long, and towards what."""

    #: An array `[n, ...]` for each input of the model.
    inputs: tuple[Array, ...]
    #: One for each output that the loss is for.
    labels: tuple[Array, ...]
    plan: TrainingPlan
    #: What Keras's `compile` takes.
    loss: Any = LOSS
    #: Makes the optimiser from a learning rate or a schedule of it; None is Adam.
    optimizer: Callable[[Any], Any] | None = None

    def first(self, count: int) -> Any:
        """The first samples to train on, at most `count`, as the model takes them."""
        return _one(tuple(array[: min(count, self.plan.fit_images)] for array in self.inputs))


def learning_rate(rate: float, decay: Decay, plan: TrainingPlan) -> Any:
    """The learning rate for Keras: a number, or a schedule over the optimiser steps."""
    if decay == "cosine":
        return tf.keras.optimizers.schedules.CosineDecay(rate, plan.steps)
    return rate


def fit(
    model: Any,
    rate: Any,
    batch_size: int,
    data: TrainingSet,
    on_progress: OnProgress,
    *callbacks: Any,
) -> None:
    """Train `model` in place. `rate` is a learning rate or a schedule of it."""
    if not data.plan.epochs:
        return
    optimizer = data.optimizer or tf.keras.optimizers.Adam
    model.compile(optimizer=optimizer(rate), loss=data.loss)
    arguments: dict[str, Any] = {
        "epochs": data.plan.epochs,
        "verbose": 0,
        "callbacks": [*callbacks, _reporter(data.plan, on_progress)],
    }
    if sum(array.nbytes for array in data.inputs) <= _IN_MEMORY_BYTES:
        samples = data.plan.fit_images
        inputs, labels = (
            tuple(array[:samples] for array in arrays) for arrays in (data.inputs, data.labels)
        )
        model.fit(_one(inputs), _one(labels), batch_size=batch_size, **arguments)
    else:
        model.fit(_batches(data, batch_size), shuffle=False, **arguments)


def _one(arrays: tuple[Array, ...]) -> Any:
    return arrays[0] if len(arrays) == 1 else list(arrays)


def _batches(data: TrainingSet, batch_size: int) -> Any:
    """Batches of mapped arrays, in another order each epoch; equal seeds give equal orders."""
    rng = np.random.default_rng(np.random.randint(1 << 31))
    samples = data.plan.fit_images

    class Batches(tf.keras.utils.Sequence):  # type: ignore[misc]
        def __init__(self) -> None:
            self.order: npt.NDArray[np.int64] = rng.permutation(samples)

        def __len__(self) -> int:
            return data.plan.steps_per_epoch

        def __getitem__(self, index: int) -> tuple[Any, Any]:
            rows = np.sort(self.order[index * batch_size : (index + 1) * batch_size])
            inputs, labels = (
                tuple(array[rows] for array in arrays) for arrays in (data.inputs, data.labels)
            )
            return _one(inputs), _one(labels)

        def on_epoch_end(self) -> None:
            self.order = rng.permutation(samples)

    return Batches()


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
