"""Arm's fully-connected network for MNIST: 784-128-64-10, ReLU, softmax (109,386 parameters).

TensorFlow is imported where it is used: the bench reads a recipe's data without it.
"""

from __future__ import annotations

from typing import Any

from models.recipes.mnist import data

__all__ = ["compressed_layers", "data", "epochs_for", "model"]

#: All layers, as in Arm's recipe.
compressed_layers = ("dense_1", "dense_2", "output")
#: The epochs of Arm's recipe are for the 60,000 training images of MNIST.
epochs_for = 60_000


def model() -> Any:
    """float32 `[batch, 28, 28]` in 0..1 -> float32 `[batch, 10]` probabilities."""
    import tensorflow as tf

    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Input((28, 28), name="image"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="dense_1"),
            layers.Dense(64, activation="relu", name="dense_2"),
            layers.Dense(10, activation="softmax", name="output"),
        ],
        name="mnist_fc",
    )
