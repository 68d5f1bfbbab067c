"""What a worker needs to know about a run. Workers share no file system, so files travel too."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from bench.assembly.session import RunSetup
from bench.cache import ArtefactCache, Entry
from bench.cluster.parcels import Parcel, accept_all, packed
from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.core.fingerprint import SourceTree
from bench.measuring.inputs import with_files
from bench.measuring.recipes import SurveyedRecipe
from models.reading.origin import Origin, SourceFile

__all__ = ["Kit", "LocalPlaces", "kit_of", "unpacked"]


#: Where a file is, by where it was.
_Place: TypeAlias = Callable[[Path], Path]


@dataclass(frozen=True)
class Kit:
    """Everything that all tasks of a run need; the paths in it are those of the client."""

    #: Unique, for all runs on the cluster.
    run: str
    setup: str
    #: The user's files, as they are in the client's cache, and the data of recipes.
    parcels: tuple[Parcel, ...]
    #: Path on the client -> which parcel holds it, and its name in there.
    files: Mapping[str, tuple[int, str]]
    #: Path on the client -> the source of a recipe, or a part of a Keras model.
    sources: Mapping[str, bytes]
    #: The directory on the client that holds all sources; empty without recipes.
    root: str


@dataclass(frozen=True)
class LocalPlaces:
    """Where a worker keeps things."""

    cache_root: Path
    remote_cache: str
    #: For this run alone: logs, recipes.
    run_path: Path


def kit_of(setup: RunSetup, cache: ArtefactCache, data: Iterable[Entry]) -> Kit:
    """The kit of a run that is set up; `data` are entries with the data of users' recipes.

    Raises `BenchError` for files that are not in the cache, and `OSError`.
    """
    entries: dict[Path, Entry] = {entry.path: entry for entry in data}
    found: list[Path] = []

    def note(path: Path) -> Path:
        found.append(path)
        return path

    with_files(setup.config, note)
    for recipe in setup.recipes.values():
        _with_origin(recipe, note, lambda path: path)
    used: dict[Path, Entry] = {}
    for path in found:
        entry = cache.entry_of(path)
        if entry is not None:
            used[path] = entry
            entries[entry.path] = entry
    places = {path: number for number, path in enumerate(entries)}
    sources = dict(_sources(setup.recipes.values(), used))
    slim = replace(setup, code=SourceTree({}), inputs={}, config_lines={}, unavailable={})
    return Kit(
        run=setup.run_path.name,
        setup=slim.to_json(),
        parcels=tuple(packed(entry) for entry in entries.values()),
        files={
            str(path): (places[entry.path], path.relative_to(entry.path).as_posix())
            for path, entry in used.items()
        },
        sources=sources,
        root=_common(setup.recipes.values(), sources),
    )


def unpacked(kit: Kit, places: LocalPlaces, cache: ArtefactCache, code: SourceTree) -> RunSetup:
    """The run's setup for this worker, with its files here. Raises `BenchError`."""
    entries = accept_all(cache, kit.parcels)
    setup = RunSetup.from_json(kit.setup)
    recipes = places.run_path / "recipes"

    def file(path: Path) -> Path:
        if str(path) not in kit.files:
            return path
        number, name = kit.files[str(path)]
        return entries[number].path / name

    def source(path: Path) -> Path:
        """Recipes keep their places relative to each other."""
        inside = bool(kit.root) and path.is_relative_to(kit.root)
        return recipes / path.relative_to(kit.root) if inside else path

    def either(path: Path) -> Path:
        return file(path) if str(path) in kit.files else source(path)

    for name, content in kit.sources.items():
        path = source(Path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return replace(
        setup,
        config=with_files(setup.config, file),
        recipes={
            name: _with_origin(recipe, either, source) for name, recipe in setup.recipes.items()
        },
        cache_root=places.cache_root,
        remote_cache=places.remote_cache,
        run_path=places.run_path,
        code=code,
    )


def _with_origin(recipe: SurveyedRecipe, place: _Place, directory: _Place) -> SurveyedRecipe:
    """`recipe` with other places of its files and of its directory."""
    origin = recipe.origin

    def moved(file: SourceFile | None) -> SourceFile | None:
        return None if file is None else file.model_copy(update={"path": place(file.path)})

    update = {
        "sources": {name: moved(file) for name, file in origin.sources.items()},
        "keras": moved(origin.keras),
        "data": moved(origin.data),
        "directory": None if origin.directory is None else directory(origin.directory),
    }
    return recipe.model_copy(update={"origin": origin.model_copy(update=update)})


def _sources(
    recipes: Iterable[SurveyedRecipe], used: Mapping[Path, Entry]
) -> Iterator[tuple[str, bytes]]:
    for recipe in recipes:
        for path in _files(recipe.origin):
            if path in used:
                continue
            try:
                yield str(path), path.read_bytes()
            except OSError as error:
                raise BenchError(f"{path}: cannot be read: {error.strerror}") from error


def _files(origin: Origin) -> Iterator[Path]:
    """The files of a recipe; those of a Keras model that is a directory, each."""
    for file in (*origin.sources.values(), origin.keras, origin.data):
        if file is None:
            continue
        if file.path.is_dir():
            if file is origin.keras:
                yield from sorted(path for path in file.path.rglob("*") if path.is_file())
        else:
            yield file.path


def _common(recipes: Iterable[SurveyedRecipe], sources: Iterable[str]) -> str:
    """The directory that holds all of `sources`, and where the recipes find themselves."""
    directories = [os.path.dirname(path) for path in sources]  # noqa: PTH120 (plain text)
    directories += [str(one.origin.directory) for one in recipes if one.origin.directory]
    return os.path.commonpath(directories) if directories else ""
