"""The built-in recipes. Each is a file like those that users write; see docs/recipes.md."""

from __future__ import annotations

from types import ModuleType

__all__ = ["BUILT_IN", "FOR_USERS_DATA", "OF_MNIST", "data_name", "recipe_module"]

#: Those of MNIST, of which the configuration says which data they take.
OF_MNIST = ("mnist_fc", "mnist_ds_cnn")
#: Those that are a network alone.
FOR_USERS_DATA = ("ds_cnn_kws", "mobilenet_v1_vww", "resnet8", "deep_autoencoder")
#: The names of all, which are those of their modules.
BUILT_IN = (*OF_MNIST, "watch_activity", "lfw_faces", *FOR_USERS_DATA)


def recipe_module(name: str) -> ModuleType | None:
    """The built-in recipe `name`; None if there is none. Loads no TensorFlow."""
    from models.recipes import (
        deep_autoencoder,
        ds_cnn_kws,
        lfw_faces,
        mnist_ds_cnn,
        mnist_fc,
        mobilenet_v1_vww,
        resnet8,
        watch_activity,
    )

    return {
        "mnist_fc": mnist_fc,
        "mnist_ds_cnn": mnist_ds_cnn,
        "watch_activity": watch_activity,
        "lfw_faces": lfw_faces,
        "ds_cnn_kws": ds_cnn_kws,
        "mobilenet_v1_vww": mobilenet_v1_vww,
        "resnet8": resnet8,
        "deep_autoencoder": deep_autoencoder,
    }.get(name)


def data_name(name: str, mnist: str) -> str:
    """What the data of the built-in recipe `name` is called; `mnist` is the MNIST that is taken.

    It stands for the data in cache keys, because a package ships it, whose file is pinned.
    """
    module = recipe_module(name)
    assert module is not None, name
    return mnist if name in OF_MNIST else str(module.data_name)
