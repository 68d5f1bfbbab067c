"""A recipe: a small Python file that says what a network is and which data it is for.

    import tensorflow as tf

    def model():
        return tf.keras.Sequential([...])

    def data():
        return {"train": (x, y), "test": (x_test, y_test)}

That is all that a recipe needs. What it may say besides has a default here. Nothing in it imports
the bench. The names below are those of the file's attributes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from bench.core.errors import BuildError
from bench.core.schema import suggest
from models.reading.origin import Options

__all__ = ["LOSS", "Recipe", "recipe_of"]

#: For labels that are numbers of classes, and outputs that are probabilities.
LOSS = "sparse_categorical_crossentropy"

#: The attributes that take options of the configuration.
_TAKES_OPTIONS = ("model", "data", "custom_objects")


@dataclass(frozen=True)
class Recipe:
    """What a recipe says."""

    #: For messages: the file's name.
    name: str
    #: Makes the Keras model, in float32, trained or not. Its initial weights come from Keras's
    #: global seed, so equal seeds give equal models. None if a file has the model.
    model: Callable[[], Any] | None
    #: The splits `train`, `test` and perhaps `calibration`; see `models.reading.splits`. None if a
    #: file has the data.
    data: Callable[[], Mapping[str, Any]] | None
    #: Names of classes and functions that a Keras file needs, and what they are.
    custom_objects: Callable[[], Mapping[str, Any]]
    #: What `compile` of Keras takes.
    loss: Any = LOSS
    #: Learning rate or schedule -> optimiser; None is Adam.
    optimizer: Callable[[Any], Any] | None = None
    #: The layers that pruning and clustering work on; None leaves the choice to the bench.
    compressed_layers: tuple[str, ...] | None = None
    #: The number of training samples for which epochs are stated: fewer samples get more epochs,
    #: see `models.schedule`. None takes them as they are.
    epochs_for: int | None = None


def recipe_of(module: ModuleType | None, name: str, options: Options) -> Recipe:
    """The recipe that `module` is; None is one that says nothing.

    Raises `BuildError` if something in it is not what it must be, or if an option has no taker.
    """
    found: dict[str, Any] = {} if module is None else vars(module)
    _require_takers(found, name, options)

    def function(attribute: str) -> Callable[[], Any] | None:
        given = found.get(attribute)
        if given is None:
            return None
        if not callable(given):
            raise BuildError(f"{name}: {attribute} is a {type(given).__name__}, not a function")
        taken = {key: value for key, value in options.items() if _takes(given, key)}
        return lambda: given(**taken)

    return Recipe(
        name=name,
        model=function("model"),
        data=function("data"),
        custom_objects=function("custom_objects") or dict,
        loss=found.get("loss", LOSS),
        optimizer=_optimizer(found, name),
        compressed_layers=_layers(found, name),
        epochs_for=_epochs_for(found, name),
    )


def _takes(function: Callable[..., Any], option: str) -> bool:
    parameters = inspect.signature(function).parameters
    return option in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _require_takers(found: Mapping[str, Any], name: str, options: Options) -> None:
    functions = [found[a] for a in _TAKES_OPTIONS if callable(found.get(a))]
    known = sorted({p for f in functions for p in inspect.signature(f).parameters})
    for option in options:
        if not any(_takes(function, option) for function in functions):
            raise BuildError(
                f"{name}: no function takes the option {option!r}",
                cure=suggest(option, known) if known else "give model() or data() this parameter",
            )


def _optimizer(found: Mapping[str, Any], name: str) -> Callable[[Any], Any] | None:
    given = found.get("optimizer")
    if given is not None and not callable(given):
        raise BuildError(
            f"{name}: optimizer is a {type(given).__name__}",
            cure="make it a function of the learning rate that returns an optimiser",
        )
    return given


def _layers(found: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    given = found.get("compressed_layers")
    if given is None:
        return None
    if isinstance(given, str) or not all(isinstance(layer, str) for layer in given):
        raise BuildError(f"{name}: compressed_layers must be names of layers, such as ('dense',)")
    return tuple(given)


def _epochs_for(found: Mapping[str, Any], name: str) -> int | None:
    given = found.get("epochs_for")
    if given is not None and (not isinstance(given, int) or given < 1):
        raise BuildError(f"{name}: epochs_for must be a number of samples, it is {given!r}")
    return given
