"""Who may import whom beside the product; the product's own layers are import-linter's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def imported(source: str) -> Iterator[str]:
    """Every module and name that `source` imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Relative imports are not used here; one would hide what it names.
            assert node.level == 0, ast.unparse(node)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong(package: str, source: str) -> list[str]:
    """What a module of `package` must not import."""
    others = {"tests": "benchmarks", "benchmarks": "tests"}
    return [
        name
        for name in imported(source)
        if name.split(".")[0] == others[package]
        or (name.startswith("tests.") and any(_collected(part) for part in name.split(".")))
    ]


def _collected(part: str) -> bool:
    """Whether it names a module of pytest's, which runs twice if somebody else imports it."""
    return part.startswith("test_") or part == "conftest"


@pytest.mark.parametrize("package", ["tests", "benchmarks"])
def test_tests_and_benchmarks_do_not_know_each_other_nor_any_test_module(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) >= 10
    found = {
        path.relative_to(ROOT).as_posix(): bad
        for path in files
        if (bad := wrong(package, path.read_text(encoding="utf-8")))
    }
    assert found == {}, (
        "share what both need in tests/support, or run the program and read its JSON"
    )


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("tests", "import benchmarks.fidelity"),
        ("tests", "from benchmarks import fidelity"),
        ("tests", "def late():\n    from benchmarks.fidelity import LIMIT"),
        ("tests", "from tests.unit.test_grid import helper"),
        ("tests", "from tests.unit import test_grid"),
        ("tests", "import tests.integration.conftest"),
        ("benchmarks", "from tests.support.bench_runs import ROOT"),
    ],
)
def test_what_is_forbidden_is_seen(package: str, line: str) -> None:
    assert len(wrong(package, line)) == 1
    assert wrong(package, "from tests.support.bench_runs import ROOT") == (
        [] if package == "tests" else ["tests.support.bench_runs.ROOT"]
    )
