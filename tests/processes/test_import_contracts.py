"""import-linter sees what it is there for: a forbidden import of each kind breaks its contract."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench_runs import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LINTER: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "tool"
]["importlinter"]
CONTRACTS: list[dict[str, Any]] = LINTER["contracts"]
#: Top down; those of a line may not know each other.
LAYERS: list[list[str]] = [
    line.split(" | ") for contract in CONTRACTS for line in contract.get("layers", ())
]


@dataclass(frozen=True)
class Forbidden:
    """An import that `contract` forbids."""

    contract: str
    module: str
    imported: str

    def __str__(self) -> str:
        return f"{self.module}-{self.imported}"


def forbidden() -> Iterator[Forbidden]:
    """Each layer upwards by one, the lowest to the roof, neighbours, and each other rule."""
    for contract in CONTRACTS:
        name = contract["name"]
        if contract["type"] == "layers":
            for above, below in pairwise(LAYERS):
                for module in below:
                    yield Forbidden(name, module, above[0])
            yield Forbidden(name, LAYERS[-1][0], LAYERS[0][0])
            for line in LAYERS:
                for left, right in pairwise(line):
                    yield Forbidden(name, left, right)
        else:
            for module, other in zip(
                cycle(contract["source_modules"]), contract["forbidden_modules"], strict=False
            ):
                yield Forbidden(name, module, other)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's sources and their contracts, elsewhere."""
    directory = tmp_path_factory.mktemp("copy")
    for package in LINTER["root_packages"]:
        ignored = shutil.ignore_patterns("__pycache__", "*.elf")
        shutil.copytree(ROOT / package, directory / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", directory)
    return directory


def broken(copy: Path) -> list[str]:
    """The contracts that import-linter finds broken in `copy`."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found = [c["name"] for c in CONTRACTS if f"{c['name']} BROKEN" in done.stdout]
    kept = [c["name"] for c in CONTRACTS if f"{c['name']} KEPT" in done.stdout]
    assert len(found) + len(kept) == len(CONTRACTS), done.stdout
    assert done.returncode == bool(found), done.stdout
    return found


@contextmanager
def importing(copy: Path, module: str, imported: str) -> Iterator[None]:
    """Let a function in `module` import `imported` for a while."""
    path = copy / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    original = file.read_text(encoding="utf-8")
    file.write_text(
        f"{original}\n\ndef _late() -> None:\n    import {imported}\n", encoding="utf-8"
    )
    try:
        yield
    finally:
        file.write_text(original, encoding="utf-8")


def test_the_sources_keep_every_contract(copy: Path) -> None:
    assert broken(copy) == []


@pytest.mark.parametrize("case", list(forbidden()), ids=str)
def test_a_forbidden_import_breaks_its_contract(copy: Path, case: Forbidden) -> None:
    with importing(copy, case.module, case.imported):
        assert case.contract in broken(copy)


def test_every_kind_of_contract_was_tried() -> None:
    cases = list(forbidden())
    assert {case.contract for case in cases} == {contract["name"] for contract in CONTRACTS}
    assert len(LAYERS) >= 15


def test_every_package_has_its_layer() -> None:
    """What no layer names may import anything."""
    parts = {
        f"{package}.{path.stem}"
        for package in ("bench", "targets")
        for path in (ROOT / package).iterdir()
        if (path.is_dir() or path.suffix == ".py") and not path.name.startswith("__")
    }
    assert parts | {"models"} == {module for line in LAYERS for module in line}
