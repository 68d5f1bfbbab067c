"""Builds the wheel, in which everything of ours is inside one package, `ethos_u55_bench`.

`bench`, `models`, `targets` and `tests` are names that other people's repositories have too. So the
wheel has them as `ethos_u55_bench.bench` and so on, and its modules import each other under these
names. The sources are copied, and their imports changed, before setuptools sees them; see
docs/decisions/0034-one-package-installed.md. An editable installation is that of setuptools: a
checkout has its packages under their short names.

This is the build backend that `pyproject.toml` names. It needs nothing but setuptools.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# There is no `prepare_metadata_for_build_wheel`: pip reads the metadata of the finished wheel.
__all__ = [
    "PACKAGES",
    "TOP",
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "rename_imports",
    "stage",
]

#: The only package that the wheel installs.
TOP = "ethos_u55_bench"
#: What it holds, by its name in a checkout.
PACKAGES = ("bench", "models", "targets")
#: The regression suites, which an installed bench runs as well.
_SUITES = Path("tests", "regression")

_OURS = re.compile(rf"({'|'.join(PACKAGES)})(\.|$)")
#: An import in a string, as in a program for another process.
_IMPORT_IN_TEXT = re.compile(
    rf"^(from ({'|'.join(PACKAGES)})[\w.]* import\b|import ({'|'.join(PACKAGES)})[\w.]*[,;\n])",
    re.MULTILINE,
)


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Nothing. Setuptools would write into the source tree to find that out."""
    return []


def build_wheel(
    wheel_directory: str,
    config_settings: Any = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel from the source tree in the working directory; returns its file name."""
    with tempfile.TemporaryDirectory(prefix="bench-wheel-") as name:
        stage(Path.cwd(), Path(name))
        with _working_directory(name):
            return str(build_meta.build_wheel(wheel_directory, config_settings))


def stage(source: Path, destination: Path) -> None:
    """Write the tree that setuptools makes the wheel of, from the checkout at `source`.

    Raises SyntaxError for a source whose imports cannot be renamed.
    """
    settings = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    top = destination / TOP
    top.mkdir()
    _copy(source / "deploy/wheel/installed.py", top / "__init__.py")
    (top / "py.typed").touch()
    data = settings["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        for path in sorted((source / package).rglob("*.py")):
            _copy(path, top / path.relative_to(source))
        for pattern in data[package]:
            for path in sorted((source / package).glob(pattern)):
                _copy(path, top / path.relative_to(source))
    for path in sorted((source / _SUITES).glob("test_*.py")):
        _copy(path, top / path.relative_to(source))
    # With these, Python's names of the suites are below ours.
    for folder in (_SUITES, *list(_SUITES.parents)[:-1]):
        (top / folder / "__init__.py").write_text('"""Suites."""\n', encoding="utf-8")
    for name in (settings["project"]["readme"], "LICENSE"):
        shutil.copy(source / name, destination / name)
    (destination / "pyproject.toml").write_text(_project_text(settings), encoding="utf-8")


def rename_imports(text: str, path: str) -> str:
    """`text`, the source of a module, with imports of our packages from inside of `TOP`.

    Raises SyntaxError for what cannot be renamed, which `path` locates.
    """
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _IMPORT_IN_TEXT.search(node.value):
                raise _refused("imports in a string need __package__", path, node)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and node.module and _OURS.match(node.module):
                _edit(lines, node, f"from {node.module}", f"from {TOP}.{node.module}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _OURS.match(alias.name):
                    if len(node.names) > 1 or ("." in alias.name and not alias.asname):
                        raise _refused(f"say `from ... import`, not `{alias.name}`", path, node)
                    package, _, module = f"{TOP}.{alias.name}".rpartition(".")
                    _edit(lines, node, f"import {alias.name}", f"from {package} import {module}")
    return "".join(lines)


def _edit(lines: list[str], node: ast.stmt, old: str, new: str) -> None:
    """Replace the beginning of a statement; its columns count bytes."""
    line = lines[node.lineno - 1].encode()
    before, rest = line[: node.col_offset].decode(), line[node.col_offset :].decode()
    if not rest.startswith(old):
        raise SyntaxError(f"line {node.lineno}: write this as {old!r}")
    lines[node.lineno - 1] = before + new + rest.removeprefix(old)


def _refused(what: str, path: str, node: ast.stmt | ast.expr) -> SyntaxError:
    return SyntaxError(f"cannot be renamed for the wheel: {what}", (path, node.lineno, 1, None))


def _copy(path: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".py":
        text = rename_imports(path.read_text(encoding="utf-8"), str(path))
        destination.write_text(text, encoding="utf-8")
    else:
        shutil.copy(path, destination)


def _project_text(settings: Mapping[str, Any]) -> str:
    """`pyproject.toml` for the staged tree."""
    project = dict(settings["project"])
    project["scripts"] = _inside(project["scripts"])
    more = settings["tool"]["ethos-u55-bench"]["entry-points"]
    project["entry-points"] = {group: _inside(entries) for group, entries in more.items()}
    tool = settings["tool"]["setuptools"]
    version = f"{TOP}.{tool['dynamic']['version']['attr']}"
    data = {f"{TOP}.{package}": patterns for package, patterns in tool["package-data"].items()}
    setuptools = {
        "include-package-data": False,
        "dynamic": {"version": {"attr": version}},
        "packages": {"find": {"include": [f"{TOP}*"]}},
        "package-data": {TOP: ["py.typed"], **data},
    }
    build = {"requires": settings["build-system"]["requires"]}
    tables = {"build-system": build, "project": project, "tool": {"setuptools": setuptools}}
    return "\n".join(_toml("", tables)) + "\n"


def _inside(entries: Mapping[str, str]) -> dict[str, str]:
    return {name: f"{TOP}.{reference}" for name, reference in entries.items()}


def _toml(prefix: str, table: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a table. TOML writes strings, booleans and lists of them as JSON does."""
    for key, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{json.dumps(key)} = {json.dumps(value)}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{json.dumps(key)}"
            yield f"[{name}]"
            yield from _toml(f"{name}.", value)


@contextlib.contextmanager
def _working_directory(name: str) -> Iterator[None]:
    """As `contextlib.chdir`, which Python 3.10 has not."""
    before = Path.cwd()
    os.chdir(name)
    try:
        yield
    finally:
        os.chdir(before)
