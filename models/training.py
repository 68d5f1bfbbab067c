"""Fitting a Keras model to training data, with the progress told. Uses TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.runtime import tf
from models.schedule import TrainingPlan
from models.spec import Decay

__all__ = ["OnProgress", "TrainingSet", "fit", "learning_rate"]

#: Called with what is happening and the share of the training that is done, 0..1.
OnProgress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Images float32 `[n, 28, 28]` and labels int64 `[n]` to train on, and for how long."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    plan: TrainingPlan

    def first(self, count: int) -> Any:
        """The first samples to train on, at most `count`, as the model takes them."""
        return self.images[: min(count, self.plan.fit_images)]


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
    """Train `model` in place with Adam at `rate`, a number or a schedule."""
    model.compile(
        optimizer=tf.keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
    )
    count = data.plan.fit_images
    model.fit(
        data.images[:count],
        data.labels[:count],
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
