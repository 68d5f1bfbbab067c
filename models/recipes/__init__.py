"""The built-in recipes. Each is a file like those that users write; see docs/recipes.md."""

from __future__ import annotations

from types import ModuleType

__all__ = ["BUILT_IN", "recipe_module"]

#: Their names, which are those of their modules.
BUILT_IN = ("mnist_fc", "mnist_ds_cnn")


def recipe_module(name: str) -> ModuleType | None:
    """The built-in recipe `name`; None if there is none. Loads no TensorFlow."""
    from models.recipes import mnist_ds_cnn, mnist_fc

    return {"mnist_fc": mnist_fc, "mnist_ds_cnn": mnist_ds_cnn}.get(name)
