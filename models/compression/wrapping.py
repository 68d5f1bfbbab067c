"""Putting tfmot's wrappers around single layers of a model. Uses TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from models.runtime import tf

__all__ = ["wrap"]


def wrap(model: Any, layers: Iterable[str], wrapper: Callable[[Any], Any]) -> Any:
    """`model` with `wrapper` around the named layers; the layers and their weights are shared."""
    wanted = frozenset(layers)
    return tf.keras.models.clone_model(
        model,
        clone_function=lambda layer: wrapper(layer) if layer.name in wanted else layer,
    )
