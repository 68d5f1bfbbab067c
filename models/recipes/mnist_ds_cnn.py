"""A small depthwise-separable CNN for MNIST, designed to be limited by computation, not by memory.

A strided 3x3 convolution to 14x14x32, three blocks of depthwise 3x3 and pointwise 1x1 that keep
this shape (each weight is used 196 times), global average pooling, softmax: 5,066 parameters, 0.83
million multiply-accumulates. The depthwise layers have no batch norm of their own, because it would
cost a fifth of the training time and gain no accuracy here.
"""

from __future__ import annotations

from typing import Any

from models.recipes.blocks import norm_relu
from models.recipes.mnist import data

__all__ = ["compressed_layers", "data", "epochs_for", "model"]

#: Nearly all weights of the network. A depthwise kernel has 9 weights per channel, and the first
#: convolution has 288 in all: compressing them gains nothing and costs accuracy.
compressed_layers = ("pointwise_1", "pointwise_2", "pointwise_3")
#: Epochs are those on the 60,000 training images of MNIST.
epochs_for = 60_000


def model() -> Any:
    """float32 `[batch, 28, 28]` in 0..1 -> float32 `[batch, 10]` probabilities."""
    import tensorflow as tf

    layers = tf.keras.layers
    stack = [
        layers.Input((28, 28), name="image"),
        layers.Reshape((28, 28, 1), name="reshape"),
        layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="conv"),
        *norm_relu("conv"),
    ]
    for block in (1, 2, 3):
        stack += [
            layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"depthwise_{block}"),
            layers.Conv2D(32, 1, use_bias=False, name=f"pointwise_{block}"),
            *norm_relu(f"pointwise_{block}"),
        ]
    stack += [
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(10, activation="softmax", name="output"),
    ]
    return tf.keras.Sequential(stack, name="mnist_ds_cnn")
