"""The built-in recipes as a builder is asked for them, and their data, stored."""

from __future__ import annotations

from pathlib import Path

from models.data import SUBSET
from models.messages import StoredData
from models.reading.datasets import go_through_data
from models.reading.loading import RecipeLoader
from models.reading.origin import Origin

__all__ = ["built_in", "stored_mnist"]


def built_in(name: str = "mnist_fc") -> Origin:
    """A built-in recipe on the 5,000-image subset."""
    return Origin(name=name, options={"mnist": SUBSET.name})


def stored_mnist(directory: Path) -> StoredData:
    """The splits of the 5,000-image subset, stored in `directory`, which need not exist."""
    directory.mkdir(parents=True, exist_ok=True)
    origin = built_in()
    facts = go_through_data(origin, RecipeLoader().load(origin), (), directory)
    return StoredData.within(SUBSET.name, directory.resolve(), facts)
