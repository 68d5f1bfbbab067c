"""DS-CNN, the keyword spotter of MLPerf Tiny, for your own data.

A 10x4 convolution, four blocks of depthwise 3x3 and pointwise 1x1 with 64 channels, average
pooling, softmax: 24,908 parameters with those of batch norm. The network is that of
keras_model.py in https://github.com/mlcommons/tiny (benchmark/training/keyword_spotting), from
Zhang et al., "Hello Edge", arXiv:1711.07128. It was written anew from that description.
"""

from __future__ import annotations

from typing import Any

__all__ = ["compressed_layers", "model"]

#: Three quarters of the weights. The first convolution sees the input itself, a depthwise kernel
#: has 9 weights per channel, and the last layer is small: compressing those costs accuracy.
compressed_layers = tuple(f"pointwise_{block}" for block in range(1, 5))


def model(classes: int = 12) -> Any:
    """float32 `[batch, 49, 10, 1]`, MFCCs of a second -> float32 `[batch, classes]`."""
    import tensorflow as tf

    from models.recipes.blocks import norm_relu, separable

    layers = tf.keras.layers
    stack = [
        layers.Input((49, 10, 1), name="mfcc"),
        layers.Conv2D(64, (10, 4), strides=2, padding="same", name="conv"),
        *norm_relu("conv"),
        layers.Dropout(0.2, name="conv_dropout"),
    ]
    for block in range(1, 5):
        stack += separable(block, 64)
    stack += [
        layers.Dropout(0.4, name="dropout"),
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(classes, activation="softmax", name="word"),
    ]
    return tf.keras.Sequential(stack, name="ds_cnn_kws")
