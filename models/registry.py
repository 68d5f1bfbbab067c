"""The built-in architectures, described without TensorFlow; `Architecture.build` imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["ARCHITECTURES", "Architecture"]


@dataclass(frozen=True)
class Architecture:
    """A built-in network. All take MNIST images, float32 `[batch, 28, 28]` in 0..1."""

    name: str
    title: str
    #: Shape of one input, without the batch dimension.
    input_shape: tuple[int, ...]
    #: The layers that pruning and clustering work on.
    compressed_layers: tuple[str, ...]
    #: Makes the untrained Keras model; its initial weights come from Keras's global seed.
    #: Imports TensorFlow, so it belongs in the builder process.
    build: Callable[[], Any]


def _mnist_fc() -> Any:
    from models.architectures import mnist_fc

    return mnist_fc()


def _mnist_ds_cnn() -> Any:
    from models.architectures import mnist_ds_cnn

    return mnist_ds_cnn()


_BUILT_IN = (
    Architecture(
        name="mnist_fc",
        title="Arm's fully-connected MNIST network (784-128-64-10)",
        input_shape=(28, 28),
        # All layers, as in Arm's recipe.
        compressed_layers=("dense_1", "dense_2", "output"),
        build=_mnist_fc,
    ),
    Architecture(
        name="mnist_ds_cnn",
        title="Depthwise-separable CNN for MNIST (32 channels, 3 blocks)",
        input_shape=(28, 28),
        # Nearly all weights of the network. A depthwise kernel has 9 weights per channel, and the
        # first convolution has 288 in all: compressing them gains nothing and costs accuracy.
        # Pruning makes the int8 model smaller, clustering does not (see `ClusterSpec`).
        compressed_layers=("pointwise_1", "pointwise_2", "pointwise_3"),
        build=_mnist_ds_cnn,
    ),
)

#: Name -> architecture.
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType({a.name: a for a in _BUILT_IN})
