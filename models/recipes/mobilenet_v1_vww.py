"""MobileNetV1 of width 0.25, the visual wake words network of MLPerf Tiny, for your own data.

A 3x3 convolution, thirteen blocks of depthwise 3x3 and pointwise 1x1, average pooling, softmax:
221,794 parameters with those of batch norm. The network is that of vww_model.py in
https://github.com/mlcommons/tiny (benchmark/training/visual_wake_words), from Howard et al.,
"MobileNets", arXiv:1704.04861. It was written anew from that description.
"""

from __future__ import annotations

from typing import Any

__all__ = ["compressed_layers", "model"]

#: Channels and stride of each block, at width 0.25.
_BLOCKS = (
    *((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)),
    *((128, 1),) * 5,
    *((256, 2), (256, 1)),
)
#: 99 % of the weights of all pointwise convolutions. The first three have up to 1,024 each.
compressed_layers = tuple(f"pointwise_{block}" for block in range(4, len(_BLOCKS) + 1))


def model(classes: int = 2) -> Any:
    """float32 `[batch, 96, 96, 3]` -> float32 `[batch, classes]` probabilities."""
    import tensorflow as tf

    from models.recipes.blocks import norm_relu, separable

    layers = tf.keras.layers
    stack = [
        layers.Input((96, 96, 3), name="image"),
        layers.Conv2D(8, 3, strides=2, padding="same", name="conv"),
        *norm_relu("conv"),
    ]
    for block, (channels, stride) in enumerate(_BLOCKS, start=1):
        stack += separable(block, channels, stride)
    stack += [
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(classes, activation="softmax", name="output"),
    ]
    return tf.keras.Sequential(stack, name="mobilenet_v1_vww")
