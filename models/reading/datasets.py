"""A recipe's data, gone through: what it is, and stored where it is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BuildError
from models.messages import split_file
from models.reading.facts import DataFacts
from models.reading.loading import told_of_the_user
from models.reading.origin import Origin
from models.reading.recipe import Recipe
from models.reading.splits import SPLITS, InputSpec, splits_of
from models.reading.storing import survey_split, write_split

__all__ = ["go_through_data"]


def go_through_data(
    origin: Origin, recipe: Recipe, inputs: Sequence[InputSpec], directory: Path | None
) -> DataFacts:
    """What the data of `recipe` is, for a network with these `inputs`; stored in `directory`.

    Raises `BuildError` if it is not what a recipe's data must be, or cannot be gone through.
    """
    with told_of_the_user(origin, "data()"):
        splits = splits_of(_given(origin, recipe), origin.name, inputs)
        found = {}
        for name, split in splits.items():
            if directory is None:
                found[name] = survey_split(split)
            else:
                found[name] = write_split(split, directory / split_file(name))
    return DataFacts(splits=found)


def _given(origin: Origin, recipe: Recipe) -> Any:
    if recipe.data is not None:
        return recipe.data()
    if origin.data is None:
        raise BuildError(
            f"{origin.name}: has no function data()",
            cure="write one that returns the splits, or name an archive with `data`",
        )
    return _of_archive(origin.data.path)


def _of_archive(path: Path) -> dict[str, Any]:
    """The splits in an archive: `train_inputs`, `train_labels` and so on, or `train_inputs_0`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError) as error:
        raise BuildError(
            f"{path.name}: cannot be read: {error}",
            cure="write it with numpy.savez(path, train_inputs=..., train_labels=..., "
            "test_inputs=..., test_labels=...)",
        ) from error
    found: dict[str, Any] = {}
    for split in SPLITS:
        parts = [
            tuple(arrays.pop(name) for name in sorted(arrays) if name.startswith(f"{split}_{kind}"))
            for kind in ("inputs", "labels")
        ]
        inputs, labels = (part[0] if len(part) == 1 else part for part in parts)
        if len(parts[0]):
            found[split] = (inputs, labels if len(parts[1]) else None)
    if arrays:
        raise BuildError(
            f"{path.name}: has unknown arrays: {', '.join(arrays)}",
            cure="call them train_inputs, train_labels, calibration_inputs, test_inputs, "
            "test_labels; or train_inputs_0, train_inputs_1 and so on for several inputs",
        )
    return found
