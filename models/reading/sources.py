"""The Python files that a user's recipe consists of, found without running it.

A recipe may import the user's own modules. Each of them shapes the result, so each is part of the
cache keys. They are found in the text: every `import` counts, also one inside a function. They are
looked for beside the configuration, and then beside the recipe.

The user's modules win over installed ones of the same name, as in any script, but not over Python's
own and those that the bench is made of: a recipe that says `import tensorflow` means TensorFlow.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.core.errors import ConfigError
from bench.core.files import read_regular, reason
from bench.core.own_names import PACKAGES, PREFIX, ROOT
from models.reading.origin import SourceFile

__all__ = ["RECIPE", "recipe_sources"]

#: The recipe itself, among its sources.
RECIPE = ""

#: Bytes of a file; more is no program that somebody wrote.
_MOST_BYTES = 4 << 20
#: Files of a recipe; more is a whole library, which had better be installed.
_MOST_FILES = 500

_LIBRARIES = frozenset(
    {
        *("tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "numpy", "scipy"),
        *("sklearn", "pydantic", "h5py", "flatbuffers", "pytest"),
    }
)
#: In a checkout, the packages of the bench itself have these names; installed, they are inside one.
_OURS: frozenset[str] = frozenset() if PREFIX else frozenset(PACKAGES)


def recipe_sources(recipe: Path, directories: Sequence[Path]) -> dict[str, SourceFile]:
    """The modules of the user's own that `recipe` imports, and itself (`RECIPE`), by name.

    `directories` is where they are looked for, in order. Raises `ConfigError`, which names file and
    line, if one cannot be read or is not Python.
    """
    found: dict[str, SourceFile] = {}
    waiting = [(RECIPE, recipe, False)]
    while waiting:
        name, path, is_package = waiting.pop()
        if name in found:
            continue
        if len(found) >= _MOST_FILES:
            raise ConfigError(
                f"{recipe}: imports more than {_MOST_FILES} modules that are not installed",
                cure="install the library that it needs",
            )
        text = _read(path)
        found[name] = SourceFile(
            path=path, sha256=hashlib.sha256(text).hexdigest(), is_package=is_package
        )
        package = name if is_package else name.rpartition(".")[0]
        for imported in _imports(text, path, package):
            waiting += _resolved(imported, directories, path)
    return found


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {reason(error)}",
            cure="correct the path, which is relative to the configuration file, or give access",
        ) from error


def _imports(text: bytes, path: Path, package: str) -> Iterator[str]:
    """The absolute names of all modules that may be imported."""
    try:
        tree = ast.parse(text, str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConfigError(f"{path}{line}: is not Python: {said}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            if base:
                yield base
            # Each may be a module or a name in one.
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])


def _resolved(
    name: str, directories: Sequence[Path], importer: Path
) -> Iterator[tuple[str, Path, bool]]:
    """The files of module `name` and of the packages around it, as far as they are the user's."""
    top, *_ = parts = name.split(".")
    if top in sys.stdlib_module_names or top in _LIBRARIES:
        return
    for directory in directories:
        place, known = directory, False
        for count, part in enumerate(parts, 1):
            place, package, module = (
                place / part,
                place / part / "__init__.py",
                place / f"{part}.py",
            )
            within = ".".join(parts[:count])
            if package.is_file():
                _require_free(top, importer, package)
                known = True
                yield within, package, True
            elif module.is_file():
                _require_free(top, importer, module)
                known = True
                yield within, module, False
                break
            elif not place.is_dir():
                break
        if known:
            return


def _require_free(top: str, importer: Path, file: Path) -> None:
    if top in _OURS and not file.resolve().is_relative_to(ROOT):
        raise ConfigError(
            f"{importer}: imports {file}, but in a checkout of the bench {top!r} is its own",
            cure="install the bench as a package, which has only one name; see docs/install.md",
        )
