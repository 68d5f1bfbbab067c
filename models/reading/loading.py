"""Loading a recipe in the builder process, from exactly the bytes that were pinned.

A user's modules are not imported from the disk, where they may have changed, but from what was read
and compared with the pinned sha256. What was not found in the text (`importlib.import_module`) is
not found here either, and the error says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from bench.core.errors import BenchError, BuildError
from models.reading.origin import Origin, SourceFile
from models.reading.recipe import Recipe, recipe_of
from models.reading.sources import RECIPE
from models.recipes import recipe_module

__all__ = ["RecipeLoader", "told_of_the_user"]

#: The module name of a user's recipe; no `import` can mean it.
_MODULE = "<recipe>"
#: Frames of the user's code that an error tells.
_FRAMES = 4


class RecipeLoader:
    """Loads each recipe of a process once: a module may register classes with Keras."""

    def __init__(self) -> None:
        self._loaded: dict[str, Recipe] = {}

    def load(self, origin: Origin) -> Recipe:
        """The recipe of `origin`. Raises `BuildError`, with the user's own lines."""
        key = origin.model_dump_json()
        if key not in self._loaded:
            self._loaded[key] = recipe_of(_module_of(origin), origin.name, origin.options)
        return self._loaded[key]


def _module_of(origin: Origin) -> ModuleType | None:
    recipe = origin.recipe
    if recipe is None:
        return recipe_module(origin.name)
    modules = {name: file for name, file in origin.sources.items() if name != RECIPE}
    finder = _PinnedFinder(modules)
    sys.meta_path.insert(0, finder)
    loader = _PinnedLoader(recipe)
    spec = importlib.machinery.ModuleSpec(_MODULE, loader, origin=str(recipe.path))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    # Data classes look there for the names in their annotations.
    sys.modules[_MODULE] = module
    with told_of_the_user(origin, "importing it"):
        loader.exec_module(module)
    return module


class _PinnedFinder(importlib.abc.MetaPathFinder):
    """Finds the user's own modules."""

    def __init__(self, modules: Mapping[str, SourceFile]) -> None:
        self._modules = modules
        #: Folders without an `__init__` around modules.
        self._folders = {
            name.rsplit(".", depth)[0]
            for name in modules
            for depth in range(1, name.count(".") + 1)
        } - set(modules)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in self._folders:
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        file = self._modules.get(name)
        if file is None:
            return None
        spec = importlib.machinery.ModuleSpec(
            name, _PinnedLoader(file), origin=str(file.path), is_package=file.is_package
        )
        spec.has_location = True
        return spec


class _PinnedLoader(importlib.abc.Loader):
    """Runs a file of the user's."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        path = self._file.path
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self._file.sha256:
            raise BuildError(f"{path} was changed while the bench was running", cure="run again")
        exec(compile(content, str(path), "exec"), vars(module))

    def get_source(self, name: str) -> str:
        """For tracebacks, and for TensorFlow's autograph."""
        return self._file.path.read_text(encoding="utf-8")


@contextlib.contextmanager
def told_of_the_user(origin: Origin, doing: str) -> Iterator[None]:
    """Runs code of the user's: in the configuration's directory, its errors told with its lines.

    Raises `BuildError` for whatever it raises, `SystemExit` among it.
    """
    before = Path.cwd()
    if origin.directory is not None:
        os.chdir(origin.directory)
    try:
        yield
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        # For the log: it has the lines of the libraries too.
        traceback.print_exc()
        raise BuildError(
            f"{origin.name}: {doing} raised {type(error).__name__}: {error}"
            f"{_frames(error, origin)}",
            cure=_cure(error),
        ) from error
    finally:
        os.chdir(before)


def _cure(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return (
            "install it; or, if it is a module of yours, put it beside bench.toml or the recipe, "
            "and import it with a plain `import`"
        )
    return ""


def _frames(error: BaseException, origin: Origin) -> str:
    """The lines of the user's own code that led to an error."""
    own = {str(file.path) for file in origin.sources.values()}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in own]
    return "".join(
        f"\n  {Path(frame.filename).name}, line {frame.lineno}, in {frame.name}: {frame.line}"
        for frame in frames[-_FRAMES:]
    )
