"""Every text file is read and written as UTF-8, whatever the locale says."""

from __future__ import annotations

import ast

import pytest

from tests.support.bench_runs import ROOT

SOURCES = sorted(
    path
    for part in ("bench", "benchmarks", "deploy", "docs", "models", "targets", "tests")
    for path in (ROOT / part).rglob("*.py")
)


def without_encoding(source: str) -> list[int]:
    """The lines that read or write text as the locale has it.

    Ruff's PLW1514 sees this where it knows that it looks at a path: in `Path(...).read_text()`,
    yet in no function that is given one.
    """
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (limit := {"read_text": 1, "write_text": 2}.get(node.func.attr)) is not None
        and len(node.args) < limit
        and not any(keyword.arg == "encoding" for keyword in node.keywords)
    ]


def test_the_check_sees_what_ruff_does_not() -> None:
    assert without_encoding("def f(path):\n    path.read_text()\n    path.write_text('x')") == [
        2,
        3,
    ]
    assert without_encoding("p.read_text('utf-8'), p.write_text('x', encoding='utf-8')") == []


@pytest.mark.parametrize("part", sorted({path.relative_to(ROOT).parts[0] for path in SOURCES}))
def test_every_text_file_is_utf_8(part: str) -> None:
    mine = [path for path in SOURCES if path.relative_to(ROOT).parts[0] == part]
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in mine
        for line in without_encoding(path.read_text(encoding="utf-8"))
    }
    assert found == set()
