"""The weights of Keras layers that tfmot compresses, in TFLite's order. Uses TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from models.promises import Kernel
from models.runtime import tf

__all__ = ["compressible", "is_built_in", "kernels_of"]

#: Class -> its compressed weight, and the order of the weight's dimensions that puts the output
#: channels first and the input channels last.
_WEIGHTS: dict[type, tuple[str, tuple[int, ...]]] = {
    tf.keras.layers.Dense: ("kernel", (1, 0)),
    tf.keras.layers.Conv1D: ("kernel", (2, 0, 1)),
    tf.keras.layers.Conv2D: ("kernel", (3, 0, 1, 2)),
    tf.keras.layers.Conv2DTranspose: ("kernel", (2, 0, 1, 3)),
    tf.keras.layers.SeparableConv1D: ("pointwise_kernel", (2, 0, 1)),
    tf.keras.layers.SeparableConv2D: ("pointwise_kernel", (3, 0, 1, 2)),
}


def compressible(layer: Any) -> dict[str, Any]:
    """Name -> variable: what tfmot compresses of `layer`, as far as it can be checked afterwards.

    A layer of a user's own says it itself, with tfmot's `get_prunable_weights` and
    `get_clusterable_weights`.
    """
    known = _WEIGHTS.get(type(layer))
    if known is not None:
        return {known[0]: getattr(layer, known[0])}
    if is_built_in(layer):
        return {}
    if hasattr(layer, "get_prunable_weights"):
        return {_own_name(variable): variable for variable in layer.get_prunable_weights()}
    if hasattr(layer, "get_clusterable_weights"):
        return dict(layer.get_clusterable_weights())
    return {}


def is_built_in(layer: Any) -> bool:
    """Whether `layer` is one of Keras's own."""
    return type(layer).__module__.startswith(("keras.", "tf_keras."))


def kernels_of(model: Any, layers: Iterable[str]) -> list[Kernel]:
    """The compressed weights of the named `layers` of `model`."""
    return [
        Kernel(name, weight, _in_tflites_order(layer, variable.numpy()))
        for name in layers
        for layer in (model.get_layer(name),)
        for weight, variable in compressible(layer).items()
    ]


def _in_tflites_order(layer: Any, values: Any) -> Any:
    known = _WEIGHTS.get(type(layer))
    if known is not None:
        return np.transpose(values, known[1])
    return np.moveaxis(values, -1, 0)


def _own_name(variable: Any) -> str:
    return str(variable.name.split("/")[-1].split(":")[0])
