"""Models of Keras 3, translated: `python -m tests.support.models.keras3_cases OUT`.

It runs by itself, because TensorFlow must be set up before anything else imports it. OUT gets what
came of each case: the greatest difference of outputs, or the error.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from bench.core.errors import BenchError
from models.reading.keras3 import load_keras3, saved_by_keras3, translated
from models.runtime import reset, tf

#: Only now: TensorFlow, which it imports, is set up by `models.runtime`.
keras: Any = importlib.import_module("keras")
layers = keras.layers
_RANDOM = np.random.default_rng(3)


def residual() -> Any:
    x = inputs = keras.Input((12, 10, 1), name="mfcc")
    x = layers.Conv2D(8, 3, use_bias=False, kernel_regularizer=keras.regularizers.L2(1e-3))(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same", activation=keras.activations.relu)(x)
    x = layers.SeparableConv2D(4, 3)(layers.Add()([x, y]))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="out")(x))


def shared_layer_and_two_ends() -> Any:
    left, right = keras.Input((8,), name="left"), keras.Input((8,), name="right")
    shared = layers.Dense(4, name="shared")
    both = layers.Concatenate()([shared(left), shared(right)])
    return keras.Model([left, right], [layers.Dense(2, name="p")(both), layers.Dense(3)(both)])


def nested() -> Any:
    inner = [layers.Input((8,)), layers.Dense(8, activation="relu"), layers.LayerNormalization()]
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Dense(2)(keras.Sequential(inner, name="inner")(inputs)))


def sequence() -> Any:
    return keras.Sequential(
        [
            layers.Input((12, 4)),
            layers.TimeDistributed(layers.Dense(6)),
            layers.Conv1D(6, 3, padding="causal"),
            layers.Bidirectional(layers.GRU(8)),
            layers.Dense(2),
        ]
    )


def words() -> Any:
    return keras.Sequential(
        [
            layers.Input((12,), dtype="int32"),
            layers.Embedding(20, 8),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2),
        ]
    )


def mobilenet() -> Any:
    return keras.applications.MobileNet((96, 96, 3), alpha=0.25, weights=None, classes=2)


def operation() -> Any:
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(8)(inputs) + inputs))


class Scale(keras.layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return x * 2


class OwnModel(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def own_layer() -> Any:
    return keras.Sequential([layers.Input((8,)), Scale(), layers.Dense(3)])


def own_model() -> Any:
    model = OwnModel()
    model(np.zeros((1, 8), np.float32))
    return model


def option_of_keras3() -> Any:
    return keras.Sequential([layers.Input((8,)), layers.LayerNormalization(rms_scaling=True)])


CASES: tuple[Callable[[], Any], ...] = (
    residual,
    shared_layer_and_two_ends,
    nested,
    sequence,
    words,
    mobilenet,
    operation,
    own_layer,
    own_model,
    option_of_keras3,
)


def difference(source: Any, copy: Any) -> float:
    """The greatest of the outputs of 16 random inputs."""
    inputs = [(_RANDOM.random((16, *t.shape[1:])) * 4).astype(t.dtype.name) for t in copy.inputs]
    given = inputs[0] if len(inputs) == 1 else inputs
    ours, theirs = (tf.nest.flatten(model(given)) for model in (copy, source))
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


def outcome(make: Callable[[], Any], directory: Path) -> str | float:
    """Of the model as it is made, and as its file has it."""
    reset(0)
    model = make()
    # Of a new model, half of all weights are 0 or 1, whichever is which.
    model.set_weights([_RANDOM.random(w.shape).astype(w.dtype) / 4 + 0.1 for w in model.weights])
    try:
        copy = translated(model, "net.py")
    except BenchError as error:
        return str(error)
    assert isinstance(copy, tf.keras.Model)
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    found = [difference(model, copy)]
    for suffix in (".keras", ".h5"):
        path = directory / f"{make.__name__}{suffix}"
        model.save(path)
        assert saved_by_keras3(path)
        found.append(difference(model, translated(load_keras3(path), path.name)))
        copy.save(path)
        assert not saved_by_keras3(path)
    return max(found)


def changed_layer() -> str:
    """A layer that computes something else in Keras 3, as one day one may."""
    reset(0)
    usual = layers.Dense.call
    model = keras.Sequential([layers.Input((8,)), layers.Dense(3)])
    with mock.patch.object(
        layers.Dense, "call", lambda self, inputs, training=None: usual(self, inputs) * 1.01
    ):
        try:
            translated(model, "net.py")
        except BenchError as error:
            return str(error)
    return "accepted"


def made_again() -> float | str:
    """The greatest difference of a weight when the same seed makes the model again."""
    made = []
    for _ in range(2):
        reset(0)
        made.append(translated(residual(), "net.py"))
    names = [[weight.name for weight in model.weights] for model in made]
    if names[0] != names[1]:
        return "other names"
    pairs = zip(made[0].get_weights(), made[1].get_weights(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        found = {make.__name__: outcome(make, Path(directory)) for make in CASES}
    found |= {"changed_layer": changed_layer(), "made_again": made_again()}
    Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
