"""How long to train: from epochs on full MNIST to epochs and steps on the data at hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = [
    "FULL_TRAINING_IMAGES",
    "TrainingPlan",
    "no_training",
    "plan_training",
    "scaled_epochs",
]

#: Training images of full MNIST, for which a spec states its epochs.
FULL_TRAINING_IMAGES = 60_000


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


def scaled_epochs(epochs: float, images: int) -> int:
    """The number of epochs on `images` training images that stands for `epochs` on full MNIST.

    The rule is `ceil(epochs * sqrt(60000 / images))`, so at least 1. The factor is the geometric
    mean of the two obvious ones. The factor 1 (the same epochs) gives too few optimiser steps to
    converge on a small set. The factor `60000 / images` (the same steps) gives 15 times the epochs
    on 4,000 images, which is slow and overfits. On full MNIST the factor is 1. On 4,000 images,
    Arm's 4 epochs become 16.
    """
    return math.ceil(epochs * math.sqrt(FULL_TRAINING_IMAGES / images))


def plan_training(
    *, epochs: float, batch_size: int, validation_split: float, images: int
) -> TrainingPlan:
    """The plan for a spec's figures on `images` training images.

    As in Keras, `fit_images = floor(images * (1 - validation_split))`, at least 1, and the last
    batch of an epoch may be smaller than the others.
    """
    fit = max(1, math.floor(images * (1 - validation_split)))
    return TrainingPlan(
        epochs=scaled_epochs(epochs, images),
        steps_per_epoch=math.ceil(fit / batch_size),
        fit_images=fit,
        validation_images=images - fit,
    )


def no_training(images: int) -> TrainingPlan:
    """The plan of a variant that is not trained: nothing is kept for validation either."""
    return TrainingPlan(epochs=0, steps_per_epoch=0, fit_images=images, validation_images=0)
