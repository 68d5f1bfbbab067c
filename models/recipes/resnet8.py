"""ResNet-8, the image classifier of MLPerf Tiny, for your own data.

A 3x3 convolution and three residual stacks of two 3x3 convolutions with 16, 32 and 64 channels,
average pooling, softmax: 78,666 parameters with those of batch norm. The network is
`resnet_v1_eembc` of keras_model.py in https://github.com/mlcommons/tiny
(benchmark/training/image_classification), with the 16 filters of the trained model there, from He
et al., arXiv:1512.03385. It was written anew from that description.
"""

from __future__ import annotations

from typing import Any

__all__ = ["compressed_layers", "model"]

_CHANNELS = (16, 32, 64)
#: 95 % of the weights. The first convolution sees the input itself, and the convolutions beside the
#: second and third stack have 1x1 kernels through which everything goes.
compressed_layers = tuple(f"stack_{stack}_conv_{conv}" for stack in (1, 2, 3) for conv in (1, 2))


def model(classes: int = 10) -> Any:
    """float32 `[batch, 32, 32, 3]` -> float32 `[batch, classes]` probabilities."""
    import tensorflow as tf

    layers = tf.keras.layers
    image = layers.Input((32, 32, 3), name="image")
    x = layers.ReLU(name="conv_relu")(_convolved(image, 16, 3, 1, "conv"))
    for stack, channels in enumerate(_CHANNELS, start=1):
        name, stride = f"stack_{stack}", 1 if stack == 1 else 2
        y = _convolved(x, channels, 3, stride, f"{name}_conv_1")
        y = layers.ReLU(name=f"{name}_relu_1")(y)
        y = _convolved(y, channels, 3, 1, f"{name}_conv_2")
        if stride != 1:
            x = layers.Conv2D(channels, 1, strides=stride, name=f"{name}_beside")(x)
        x = layers.ReLU(name=f"{name}_relu_2")(layers.Add(name=f"{name}_sum")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return tf.keras.Model(
        image, layers.Dense(classes, activation="softmax", name="output")(x), name="resnet8"
    )


def _convolved(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    import tensorflow as tf

    from models.recipes.blocks import norm

    convolution = tf.keras.layers.Conv2D(
        channels, kernel, strides=stride, padding="same", kernel_initializer="he_normal", name=name
    )
    return norm(name)(convolution(x))
