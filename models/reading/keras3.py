"""Models of Keras 3 as models of Keras 2, for which the compression tools are written.

TensorFlow has brought Keras 3 since 2.16, so it is what most people save. A model of Keras's own
layers says all about itself in its configuration; here the same layers of `tf_keras` are put
together in the same way and given the same weights. Whether that is the same network is not taken
on trust: both compute the same input, and the outputs are compared.
"""

from __future__ import annotations

import inspect
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BuildError
from models.runtime import tf

__all__ = ["is_keras3", "load_keras3", "saved_by_keras3", "translated"]

#: Of float32 outputs whose sums may have another order.
_TOLERANCE = 1e-4
_USE_TF_KERAS = "make the model with tf.keras, which is Keras 2 here, and save it with tf_keras"
#: How a tensor stands in a configuration, and what refers to it: layer, call, output.
_TENSOR = "__keras_tensor__"
_Tensors = dict[tuple[str, int, int], Any]


def is_keras3(model: object) -> bool:
    """Whether it is a model of Keras 3, or of a class derived from one."""
    return any(
        one.__module__.startswith("keras.") and one.__name__ == "Model"
        for one in type(model).__mro__
    )


def saved_by_keras3(path: Path) -> bool:
    """Whether the file says that Keras 3 has written it: a `.keras` archive, or HDF5."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                version = json.loads(archive.read("metadata.json"))["keras_version"]
        elif path.suffix in (".h5", ".hdf5"):
            import h5py

            with h5py.File(path, "r") as file:
                version = file.attrs.get("keras_version", "")
        else:
            return False
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        # Not a file of Keras; what loads it says so better.
        return False
    return str(version).startswith("3")


def load_keras3(path: Path) -> Any:
    """The model as Keras 3 loads it. Raises whatever Keras raises."""
    import keras

    return keras.models.load_model(path, compile=False)


def translated(model: Any, told: str) -> Any:
    """The model of tf_keras that computes what `model`, of Keras 3, does.

    `told` begins the messages. Raises `BuildError` where something in it has no counterpart.
    """
    name = type(model).__name__
    if name not in _BUILDERS:
        raise BuildError(
            f"{told}: {name} is a class of its own of Keras 3, and cannot be translated to Keras 2",
            cure="put its layers together as keras.Sequential or keras.Model(inputs, outputs); or "
            + _USE_TF_KERAS,
        )
    copy = _Translator(told).model(name, model)
    if copy.inputs:
        _require_equal(model, copy, told)
    return copy


class _Translator:
    """Builds a model of tf_keras from one of Keras 3."""

    def __init__(self, told: str) -> None:
        self._told = told

    def model(self, kind: str, source: Any) -> Any:
        """`source`, which is a `kind`, with its weights."""
        config = source.get_config()
        copy = _BUILDERS[kind](self, config, source)
        for layer in copy.layers:
            self._give_weights(layer, source.get_layer(layer.name))
        return copy

    def sequential(self, config: Mapping[str, Any], source: Any) -> Any:
        layers = [self._layer(one, source) for one in config["layers"]]
        return tf.keras.Sequential(layers, name=config["name"])

    def functional(self, config: Mapping[str, Any], source: Any) -> Any:
        tensors: _Tensors = {}
        layers: dict[str, Any] = {}
        calls = [
            (one, index, call)
            for one in config["layers"]
            for index, call in enumerate(one["inbound_nodes"])
        ]
        for one in config["layers"]:
            if one["class_name"] == "InputLayer":
                tensors[one["name"], 0, 0] = _input(one["config"])
            else:
                layers[one["name"]] = self._layer(one, source)
        while calls:
            waiting = []
            for one, index, call in calls:
                if not all(tensor in tensors for tensor in _references(call)):
                    waiting.append((one, index, call))
                    continue
                arguments = _with_tensors(call["args"], tensors)
                named = _with_tensors(call["kwargs"], tensors)
                result = layers[one["name"]](
                    *arguments, **{key: value for key, value in named.items() if value is not None}
                )
                several = result if isinstance(result, (list, tuple)) else [result]
                for output, tensor in enumerate(several):
                    tensors[one["name"], index, output] = tensor
            if len(waiting) == len(calls):
                raise self._unlike(f"layer {calls[0][0]['name']!r} has inputs from nowhere")
            calls = waiting
        return tf.keras.Model(
            _ends(config["input_layers"], tensors),
            _ends(config["output_layers"], tensors),
            name=config["name"],
        )

    def _layer(self, saved: Mapping[str, Any], source: Any) -> Any:
        """The layer that a configuration names; `source` is the model that it is of."""
        kind, config = saved["class_name"], saved["config"]
        if kind == "InputLayer":
            return _input(config)
        if kind in _BUILDERS:
            return self.model(kind, source.get_layer(config["name"]))
        if str(saved["module"]).startswith("keras.src.ops"):
            raise self._unlike(f"{config['name']!r} is the operation {kind}, no layer")
        found = getattr(tf.keras.layers, kind, None)
        if saved["module"] != "keras.layers" or found is None:
            raise self._unlike(f"there is no {kind} among the layers of tf_keras")
        options = dict(self._options(kind, config, source))
        try:
            return found.from_config(options)
        except Exception as error:
            # Keras raises all kinds of errors of a configuration that it does not know.
            raise self._unlike(f"tf_keras makes no {kind} of {config['name']!r}") from error

    def _options(
        self, kind: str, config: Mapping[str, Any], source: Any
    ) -> Iterator[tuple[str, Any]]:
        """What tf_keras's `kind` takes; weights are given later, so no initialisers."""
        import keras

        known = _parameters(getattr(tf.keras.layers, kind))
        usual = _parameters(getattr(keras.layers, kind))
        for option, value in config.items():
            if option.endswith("_initializer"):
                continue
            if option == "dtype":
                yield option, value if isinstance(value, str) else value["config"]["name"]
            elif isinstance(value, Mapping) and value.get("module") == "keras.layers":
                yield option, tf.keras.layers.serialize(self._layer(value, source))
            elif option in known:
                yield option, value
            elif value not in (None, False, usual.get(option)):
                raise self._unlike(f"tf_keras's {kind} takes no {option} ({config['name']!r})")

    def _give_weights(self, layer: Any, source: Any) -> None:
        if isinstance(layer, tf.keras.Model):
            return
        try:
            layer.set_weights(source.get_weights())
        except ValueError as error:
            raise self._unlike(f"the weights of {layer.name!r} have other shapes there") from error

    def _unlike(self, what: str) -> BuildError:
        return BuildError(
            f"{self._told}: the model of Keras 3 cannot be translated to Keras 2: {what}",
            cure=f"use a layer that both have; or {_USE_TF_KERAS}",
        )


_BUILDERS: Mapping[str, Callable[[_Translator, Mapping[str, Any], Any], Any]] = {
    "Functional": _Translator.functional,
    "Model": _Translator.functional,
    "Sequential": _Translator.sequential,
}


def _parameters(kind: type[Any]) -> dict[str, Any]:
    """The parameters of a layer's class and of those that it is derived from, with defaults."""
    return {
        name: parameter.default
        for one in reversed(kind.__mro__)
        if "__init__" in vars(one) and one is not object
        for name, parameter in inspect.signature(vars(one)["__init__"]).parameters.items()
    }


def _input(config: Mapping[str, Any]) -> Any:
    batch, *shape = config["batch_shape"]
    return tf.keras.Input(shape, batch_size=batch, dtype=config["dtype"], name=config["name"])


def _references(value: Any) -> Iterator[tuple[str, int, int]]:
    """All tensors that a configuration refers to."""
    if isinstance(value, Mapping):
        if value.get("class_name") == _TENSOR:
            yield _reference(value["config"]["keras_history"])
        else:
            for one in value.values():
                yield from _references(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _references(one)


def _reference(history: Any) -> tuple[str, int, int]:
    layer, call, output = history
    return str(layer), int(call), int(output)


def _with_tensors(value: Any, tensors: _Tensors) -> Any:
    """`value` with the tensors in place of what refers to them."""
    if isinstance(value, Mapping):
        if value.get("class_name") == _TENSOR:
            return tensors[_reference(value["config"]["keras_history"])]
        return {key: _with_tensors(one, tensors) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_tensors(one, tensors) for one in value]
    return value


def _ends(named: Any, tensors: _Tensors) -> Any:
    """Inputs or outputs: one, a list of them, or by name."""
    if isinstance(named, Mapping):
        return {key: _ends(one, tensors) for key, one in named.items()}
    if named and isinstance(named[0], str):
        return tensors[_reference(named)]
    return [_ends(one, tensors) for one in named]


def _require_equal(source: Any, copy: Any, told: str) -> None:
    generator = np.random.default_rng(0)
    inputs = [
        generator.random((2, *(size or 1 for size in tensor.shape[1:]))).astype(tensor.dtype.name)
        for tensor in copy.inputs
    ]
    given = inputs[0] if len(inputs) == 1 else inputs
    ours, theirs = (tf.nest.flatten(model(given, training=False)) for model in (copy, source))
    for mine, other in zip(ours, theirs, strict=True):
        if not np.allclose(mine, other, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise BuildError(
                f"{told}: translated to Keras 2, the model of Keras 3 computes something else",
                cure=_USE_TF_KERAS,
            )
