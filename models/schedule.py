"""How long to train: from the epochs that a variant states to epochs and steps on its data."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["TrainingPlan", "no_training", "plan_training", "scaled_epochs"]


@dataclass(frozen=True)
class TrainingPlan:
    """The training that is really done."""

    epochs: int
    steps_per_epoch: int
    #: How many training images, from the first on, are trained on ...
    fit_images: int
    #: ... and how many, the rest, are used for validation.
    validation_images: int

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.steps_per_epoch


def scaled_epochs(epochs: float, samples: int, stated_for: int | None) -> int:
    """The number of epochs on `samples` training samples; `epochs` are for `stated_for` of them.

    None states them for the data at hand. Otherwise the rule is `ceil(epochs * sqrt(stated_for /
    samples))`, so at least 1 for any training at all. The factor is the geometric mean of the two
    obvious ones. The factor 1 (the same epochs) gives too few optimiser steps to converge on a
    small set. The factor `stated_for / samples` (the same steps) gives, for 4,000 of MNIST's 60,000
    images, 15 times the epochs, which is slow and overfits. With this rule, Arm's 4 epochs on all
    of MNIST become 16 on 4,000 images.
    """
    if stated_for is None:
        return math.ceil(epochs)
    return math.ceil(epochs * math.sqrt(stated_for / samples))


def plan_training(
    *,
    epochs: float,
    batch_size: int,
    validation_split: float,
    images: int,
    stated_for: int | None,
) -> TrainingPlan:
    """The plan for a spec's figures on `images` training images; see `scaled_epochs`.

    As in Keras, `fit_images = floor(images * (1 - validation_split))`, at least 1, and the last
    batch of an epoch may be smaller than the others.
    """
    fit = max(1, math.floor(images * (1 - validation_split)))
    return TrainingPlan(
        epochs=scaled_epochs(epochs, images, stated_for),
        steps_per_epoch=math.ceil(fit / batch_size),
        fit_images=fit,
        validation_images=images - fit,
    )


def no_training(images: int) -> TrainingPlan:
    """The plan of a variant that is not trained: nothing is kept for validation either."""
    return TrainingPlan(epochs=0, steps_per_epoch=0, fit_images=images, validation_images=0)
