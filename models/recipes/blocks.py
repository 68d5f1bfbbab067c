"""Groups of layers that several recipes have. Import it where TensorFlow may be loaded."""

from __future__ import annotations

from typing import Any

__all__ = ["norm", "norm_relu", "separable"]


def norm(after: str) -> Any:
    """Batch norm behind the layer `after`, named like it."""
    import tensorflow as tf

    # Momentum 0.9: with Keras's 0.99 the running statistics need more steps than a short training
    # on few images has.
    return tf.keras.layers.BatchNormalization(momentum=0.9, name=f"{after}_norm")


def norm_relu(after: str) -> list[Any]:
    """Batch norm and ReLU behind the layer `after`, named like it."""
    import tensorflow as tf

    return [norm(after), tf.keras.layers.ReLU(name=f"{after}_relu")]


def separable(block: int, channels: int, stride: int = 1) -> list[Any]:
    """A depthwise 3x3 and a pointwise 1x1 convolution to `channels`, each with norm and ReLU."""
    import tensorflow as tf

    depthwise, pointwise = f"depthwise_{block}", f"pointwise_{block}"
    return [
        tf.keras.layers.DepthwiseConv2D(3, strides=stride, padding="same", name=depthwise),
        *norm_relu(depthwise),
        tf.keras.layers.Conv2D(channels, 1, name=pointwise),
        *norm_relu(pointwise),
    ]
