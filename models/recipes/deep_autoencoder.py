"""The deep autoencoder of MLPerf Tiny, which finds anomalies in sounds, for your own data.

Four Dense layers of 128, a code of 8, four of 128 again, each with batch norm and ReLU, and one of
640: 269,992 parameters with those of batch norm. The network is that of keras_model.py in
https://github.com/mlcommons/tiny (benchmark/training/anomaly_detection), the baseline of DCASE 2020
task 2 (Koizumi et al., arXiv:2006.05822). It was written anew from that description.

It learns to give its input back, so the labels of each split are its inputs. Say `metric = "mse"`
in the configuration. To cluster it, say `quantise = { per_channel_dense = true }` too: batch norm
is folded into the Dense layers, which multiplies each channel by a factor of its own, so few values
remain in a channel, but not in a tensor.
"""

from __future__ import annotations

from typing import Any

__all__ = ["compressed_layers", "loss", "model"]

loss = "mean_squared_error"

_INPUTS = 640
_WIDTH, _CODE = 128, 8
_ENCODER = tuple(f"encoder_{i}" for i in range(1, 5))
_DECODER = tuple(f"decoder_{i}" for i in range(1, 5))
#: All but the code and the layer behind it, through which everything goes: 1,024 weights each.
compressed_layers = (*_ENCODER, *_DECODER[1:], "output")


def model() -> Any:
    """float32 `[batch, 640]`, five frames of 128 mel bands -> the same, as the network knows it."""
    import tensorflow as tf

    from models.recipes.blocks import norm_relu

    layers = tf.keras.layers
    stack = [layers.Input((_INPUTS,), name="frames")]
    for name in (*_ENCODER, "code", *_DECODER):
        stack += [layers.Dense(_CODE if name == "code" else _WIDTH, name=name), *norm_relu(name)]
    return tf.keras.Sequential([*stack, layers.Dense(_INPUTS, name="output")], name="autoencoder")
