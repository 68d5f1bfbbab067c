"""The Keras models of `models.registry`. Every layer has a name, which reaches the `.tflite`."""

from __future__ import annotations

from typing import Any

from models.runtime import tf

__all__ = ["mnist_ds_cnn", "mnist_fc"]


def mnist_fc() -> Any:
    """Arm's fully-connected network: 784-128-64-10, ReLU, softmax (109,386 parameters).

    float32 `[batch, 28, 28]` -> float32 `[batch, 10]` probabilities.
    """
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


def mnist_ds_cnn() -> Any:
    """A small depthwise-separable CNN, designed to be limited by computation, not by memory.

    A strided 3x3 convolution to 14x14x32, three blocks of depthwise 3x3 and pointwise 1x1 that
    keep this shape (each weight is used 196 times), global average pooling, softmax: 5,066
    parameters, 0.83 million multiply-accumulates. The depthwise layers have no batch norm of their
    own, because it would cost a fifth of the training time and gain no accuracy here.

    float32 `[batch, 28, 28]` -> float32 `[batch, 10]` probabilities.
    """
    layers = tf.keras.layers
    stack = [
        layers.Input((28, 28), name="image"),
        layers.Reshape((28, 28, 1), name="reshape"),
        layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="conv"),
        *_norm_relu("conv"),
    ]
    for block in (1, 2, 3):
        stack += [
            layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"depthwise_{block}"),
            layers.Conv2D(32, 1, use_bias=False, name=f"pointwise_{block}"),
            *_norm_relu(f"pointwise_{block}"),
        ]
    stack += [
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(10, activation="softmax", name="output"),
    ]
    return tf.keras.Sequential(stack, name="mnist_ds_cnn")


def _norm_relu(after: str) -> list[Any]:
    # Momentum 0.9: with Keras's 0.99 the running statistics need more steps than a short training
    # on few images has.
    return [
        tf.keras.layers.BatchNormalization(momentum=0.9, name=f"{after}_norm"),
        tf.keras.layers.ReLU(name=f"{after}_relu"),
    ]
