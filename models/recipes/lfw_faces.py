"""Whether a tiny picture is a face: a small CNN for a wake-up by sight.

The data is what scikit-image ships as `lfw_subset`: 100 faces from "Labeled Faces in the Wild" (LFW
of the University of Massachusetts) and 100 pieces of the backgrounds of its pictures, 25x25, grey.
With 50 test images, a single one is 2 % of the accuracy.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from models.packaged import PackagedFile

__all__ = ["SOURCE", "compressed_layers", "data", "data_name", "epochs_for", "model"]

SOURCE = PackagedFile(
    distribution="scikit-image",
    path="skimage/data/lfw_subset.npy",
    sha256="9560ec2f5edfac01973f63a8a99d00053fecd11e21877e18038fbe500f8e872c",
)
#: What records call it.
data_name = SOURCE.named("lfw_scikit_image")

#: Nearly all weights of the network.
compressed_layers = ("conv_2", "conv_3")
#: So that the epochs that MNIST takes suffice: twenty times as many are made on this data.
epochs_for = 60_000


def data() -> Mapping[str, Any]:
    """Images, float32 `[n, 25, 25]` in 0..1, and labels, int64 `[n]`: 1 is a face.

    Faces and others alternate, so every range of them is balanced. Of each kind, every fourth is a
    test image.
    """
    # [200, 25, 25]: the faces, then the others.
    found = np.load(io.BytesIO(SOURCE.read()), allow_pickle=False)
    half = len(found) // 2
    images = found.reshape(2, half, *found.shape[1:]).swapaxes(0, 1).astype(np.float32)
    labels = np.tile(np.array([1, 0], np.int64), (half, 1))
    is_test = np.arange(half) % 4 == 3
    return {
        name: (images[rows].reshape(-1, *found.shape[1:]), labels[rows].reshape(-1))
        for name, rows in (("train", ~is_test), ("test", is_test))
    }


def model() -> Any:
    """float32 `[batch, 25, 25]` in 0..1 -> float32 `[batch, 2]` probabilities; 6,178 parameters."""
    import tensorflow as tf

    from models.recipes.blocks import norm_relu

    layers = tf.keras.layers
    stack = [
        layers.Input((25, 25), name="image"),
        layers.Reshape((25, 25, 1), name="reshape"),
    ]
    for block, channels in ((1, 8), (2, 16), (3, 32)):
        name = f"conv_{block}"
        stack += [
            layers.Conv2D(channels, 3, strides=2, padding="same", name=name),
            *norm_relu(name),
        ]
    stack += [
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(2, activation="softmax", name="face"),
    ]
    return tf.keras.Sequential(stack, name="lfw_faces")
