"""Files and names that pages, docstrings and comments put between backticks: they exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bench", "models", "targets", "tests", "benchmarks")
FOLDERS = (*PACKAGES, "deploy", "docs")

#: Sources of Vela and of Arm's driver that comments refer to, and what users are told of.
FOREIGN = {
    "architecture_features.py",
    "ethos_u55_regs.py",
    "ethosu55_interface.h",
    "ethosu_config_u55.h",
    "mlw_decode.c",
    "npu_performance.py",
    "register_command_stream_util.py",
    "stats_writer.py",
    "tensorflow.py",
    "weight_compressor.py",
}
#: What a reader replaces, and where users put Arm's archive.
PLACEHOLDERS = {"benchmarks.NAME", "deploy/docker/archives/"}

_FENCE = re.compile(r"^```\w*\n.*?^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(rf"({'|'.join(FOLDERS)})/[\w./*<>{{}}-]*")
_FILE = re.compile(r"[\w-]+\.(py|md|c|h|ld|sh)")
_NAME = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")


def texts() -> list[Path]:
    """Everything of the project that people read."""
    found = [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "Dockerfile", ROOT / "bench.toml"]
    for folder in FOLDERS:
        for pattern in ("*.py", "*.md", "*.c", "*.h", "*.toml"):
            found += (ROOT / folder).rglob(pattern)
    return sorted(found)


def words(path: Path) -> Iterator[tuple[int, str]]:
    """The words of each code span, with their lines; what is in fences is for other tests."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, line in enumerate(text.splitlines(), start=1):
        for span in _SPAN.findall(line):
            for word in span.split():
                yield number, word.split("::")[0].strip("\"',();").removesuffix(":")


@cache
def file_names() -> frozenset[str]:
    return (
        frozenset(path.name for path in texts())
        | {path.name for path in (ROOT / "targets").rglob("*.ld")}
        | {path.name for path in (ROOT / "deploy").rglob("*.sh")}
    )


def exists(path: str) -> bool:
    """Whether a path is there; `<suite>` and `{name}` stand for anything."""
    pattern = re.sub(r"<[^>]+>|\{[^}]+\}", "*", path).rstrip("/")
    return next(ROOT.glob(pattern), None) is not None


@cache
def defined_in(module: Path) -> frozenset[str]:
    """Every name that a module defines, imports or sets, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return frozenset(names)


def module_of(parts: list[str]) -> Path | None:
    place = ROOT.joinpath(*parts)
    for candidate in (place.with_suffix(".py"), place / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def resolves(name: str) -> bool:
    """Whether a dotted name is a package, a module, or something a module defines."""
    parts = name.split(".")
    if ROOT.joinpath(*parts).is_dir() or module_of(parts) is not None:
        return True
    for split in range(len(parts) - 1, 0, -1):
        module = module_of(parts[:split])
        if module is not None:
            return all(part in defined_in(module) for part in parts[split:])
    return False


def wrong_with(word: str) -> str:
    """What is wrong with a word between backticks; empty for most."""
    if word in PLACEHOLDERS or (ROOT / word).is_file():
        return ""
    if _PATH.fullmatch(word):
        return "" if exists(word) else "there is no such file"
    if _FILE.fullmatch(word):
        return "" if word in file_names() | FOREIGN else "no file has this name"
    if _NAME.fullmatch(word):
        return "" if resolves(word) else "there is no such name"
    return ""


@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_files_and_names_between_backticks_exist(folder: str) -> None:
    wrong = []
    for path in texts():
        place = path.relative_to(ROOT)
        if (place.parts[0] if len(place.parts) > 1 else "") == folder:
            wrong += [
                f"{place}:{line}: {word}: {problem}"
                for line, word in words(path)
                if (problem := wrong_with(word))
            ]
    assert wrong == []


def test_imports_of_python_snippets_resolve() -> None:
    wrong = []
    for page in texts():
        if page.suffix != ".md":
            continue
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.S | re.M):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGES):
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                    wrong += [f"{page.name}: {name}" for name in names if not resolves(name)]
    assert wrong == []


@pytest.mark.parametrize(
    "word",
    [
        "targets/simulator/mlw.py",
        "tests/regression/test_<no_such>_suite.py",
        "runs.py",
        "bench.judge",
        "targets.protocol.Tarjet",
        "bench.cell.Accelerator",
    ],
)
def test_a_name_that_moved_is_found(word: str) -> None:
    assert wrong_with(word)


@pytest.mark.parametrize(
    "word",
    [
        "targets/simulator/weights/mlw.py",
        "tests/regression/test_<suite>.py",
        "mlw.py",
        "bench.toml",
        "bench.judging",
        "targets.protocol.Target",
        "bench.compiler.running.VelaServer",
    ],
)
def test_a_name_that_is_there_is_accepted(word: str) -> None:
    assert wrong_with(word) == ""
