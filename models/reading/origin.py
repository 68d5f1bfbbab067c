"""What a workload's network and data come from: a recipe, or a Keras model and an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from bench.core.schema import StrictModel

__all__ = ["Option", "Options", "Origin", "SourceFile"]

#: A value that the configuration gives to a recipe.
Option = bool | int | float | str | list[bool | int | float | str]
Options = dict[str, Option]


class SourceFile(StrictModel):
    """A Python file that a recipe consists of, as it was when the run began."""

    path: Path
    sha256: str
    #: A package's `__init__`, or a folder of modules without one; the latter has no sha256.
    is_package: bool = False


class Origin(StrictModel):
    """A recipe and its files, pinned: what differs from it is refused."""

    #: Of a built-in recipe, or of the file.
    name: str
    #: Name -> the modules of a user's recipe that are the user's own; the recipe is `""`.
    sources: dict[str, SourceFile] = Field(default_factory=dict)
    #: The directory of the configuration: where a recipe finds itself.
    directory: Path | None = None
    #: A Keras model (`.keras`, `.h5`), or a SavedModel's directory, with its sha256.
    keras: SourceFile | None = None
    #: An archive (`.npz`) of the splits, with its sha256.
    data: SourceFile | None = None
    options: Options = Field(default_factory=dict)

    @property
    def is_built_in(self) -> bool:
        """Whether it comes with the bench."""
        return not self.sources and self.keras is None

    @property
    def recipe(self) -> SourceFile | None:
        """The recipe's own file; None if it is built in, or there is none."""
        return self.sources.get("")

    def identity(self) -> dict[str, Any]:
        """What decides which network and data it gives, for cache keys; no paths."""
        return {
            "name": self.name,
            "sources": {name: file.sha256 for name, file in sorted(self.sources.items())},
            "keras": None if self.keras is None else self.keras.sha256,
            "options": {name: self.options[name] for name in sorted(self.options)},
        }
