"""The Keras model of a workload: made by its recipe, or loaded from a file. Uses TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BuildError
from models.reading.facts import LayerFacts, ModelFacts
from models.reading.keras3 import is_keras3, load_keras3, saved_by_keras3, translated
from models.reading.loading import told_of_the_user
from models.reading.origin import Origin
from models.reading.recipe import Recipe
from models.reading.splits import InputSpec
from models.runtime import library_versions, tf

__all__ = ["compressed_layers", "facts_of", "make_model"]

#: Layers whose kernels have many weights; a depthwise kernel has a few per channel.
_LARGE = ("Conv1D", "Conv2D", "Conv2DTranspose", "Dense", "SeparableConv2D")


def make_model(origin: Origin, recipe: Recipe) -> Any:
    """The Keras model. Raises `BuildError` if it is none that can be trained and quantised here."""
    if recipe.model is not None:
        with told_of_the_user(origin, "model()"):
            model = recipe.model()
    elif origin.keras is not None:
        model = _loaded(origin, origin.keras.path, recipe)
    else:
        raise BuildError(
            f"{origin.name}: has no function model()",
            cure="write one that returns a Keras model, or name a Keras file with `keras`",
        )
    model = _legacy(model, origin)
    if not model.inputs:
        raise BuildError(
            f"{origin.name}: {type(model).__name__} does not say the shape of its inputs",
            cure="begin a Sequential model with tf.keras.layers.Input(shape); wrap a class of your "
            "own: x = tf.keras.Input(shape); return tf.keras.Model(x, MyModel()(x))",
        )
    return model


def _loaded(origin: Origin, path: Path, recipe: Recipe) -> Any:
    if saved_by_keras3(path):
        return _loaded_by_keras3(path)
    with told_of_the_user(origin, "custom_objects()"):
        custom = dict(recipe.custom_objects())
    try:
        return tf.keras.models.load_model(path, custom_objects=custom, compile=False)
    except Exception as error:
        # Keras raises all kinds of errors of files that it cannot read.
        raise BuildError(
            f"{path.name}: tf_keras {library_versions()['tf_keras']} cannot load it: "
            f"{_first_line(error)}",
            cure="save it with tf_keras (TF_USE_LEGACY_KERAS=1), for which the compression tools "
            "are written; name its own layers in custom_objects() of a recipe",
        ) from error


def _loaded_by_keras3(path: Path) -> Any:
    try:
        return load_keras3(path)
    except Exception as error:
        raise BuildError(
            f"{path.name}: Keras 3, which saved it, cannot load it: {_first_line(error)}",
            cure="layers of your own must be layers of tf.keras, which is Keras 2 here: write a "
            "recipe with model(), and load the weights there",
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def _legacy(model: Any, origin: Origin) -> Any:
    """`model` as one of tf_keras."""
    if isinstance(model, tf.keras.Model):
        return model
    if is_keras3(model):
        return translated(model, origin.name)
    kind = f"{type(model).__module__.split('.')[0]}.{type(model).__name__}"
    raise BuildError(f"{origin.name}: model() returned a {kind}, not a Keras model")


def facts_of(model: Any, recipe: Recipe) -> ModelFacts:
    """What is known of `model`, which `recipe` made."""
    layers = tuple(_layer(layer) for layer in model.layers)
    chosen = recipe.compressed_layers
    return ModelFacts(
        name=model.name,
        inputs=_inputs(model),
        outputs=_shapes(model.output_shape),
        layers=layers,
        compressed_layers=compressed_layers(layers) if chosen is None else chosen,
        loss=recipe.loss if isinstance(recipe.loss, str) else type(recipe.loss).__name__,
        epochs_for=recipe.epochs_for,
    )


def compressed_layers(layers: tuple[LayerFacts, ...]) -> tuple[str, ...]:
    """The layers that are worth compressing: all large kernels but a first convolution.

    The first convolution of a network has few weights and sees the input itself; pruning it costs
    accuracy and saves nothing.
    """
    kernels = [layer for layer in layers if layer.kernel]
    first = kernels[0] if kernels and kernels[0].kind.startswith("Conv") else None
    return tuple(layer.name for layer in kernels if layer.kind in _LARGE and layer is not first)


def _layer(layer: Any) -> LayerFacts:
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        kernel = getattr(layer, "pointwise_kernel", getattr(layer, "depthwise_kernel", None))
    shape = () if kernel is None else tuple(int(n) for n in kernel.shape)
    return LayerFacts(name=layer.name, kind=type(layer).__name__, kernel=shape)


def _inputs(model: Any) -> tuple[InputSpec, ...]:
    return tuple(
        InputSpec(name=name, shape=tuple(tensor.shape[1:]), dtype=np.dtype(tensor.dtype.name).name)
        for name, tensor in zip(model.input_names, model.inputs, strict=True)
    )


def _shapes(shape: Any) -> tuple[tuple[int | None, ...], ...]:
    several = isinstance(shape, list)
    return tuple(tuple(one[1:]) for one in (shape if several else [shape]))
