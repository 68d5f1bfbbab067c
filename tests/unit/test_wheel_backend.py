"""How imports are renamed for the wheel, and what goes into it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from deploy.wheel.wheel_backend import PACKAGES, TOP, rename_imports, stage

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from bench.core.text import a, b", "from ethos_u55_bench.bench.core.text import a, b"),
        ("from models import (\n    x,\n)\n", "from ethos_u55_bench.models import (\n    x,\n)\n"),
        ("import bench\nbench.x\n", "from ethos_u55_bench import bench\nbench.x\n"),
        ("import targets.sim as s\n", "from ethos_u55_bench.targets import sim as s\n"),
        ("def f():\n    import models\n", "def f():\n    from ethos_u55_bench import models\n"),
        ("x = 'ü'; from bench import y\n", "x = 'ü'; from ethos_u55_bench.bench import y\n"),
    ],
)
def test_imports_of_ours_are_renamed(before: str, after: str) -> None:
    assert rename_imports(before, "x.py") == after


@pytest.mark.parametrize(
    "text",
    [
        "import benchmarks\nfrom modelsx import y\nimport numpy\nfrom . import bench\n",
        '"""It comes from models, and import bench is what a user writes."""\n',
        "targets = [bench.models for bench in models]\n",
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert rename_imports(text, "x.py") == text


@pytest.mark.parametrize(
    "text",
    [
        "import bench.core\n",
        "import bench, models\n",
        "import os, models\n",
        "PROGRAM = 'from models.worker import main\\nmain()'\n",
        "PROGRAM = '''\nimport targets\n'''\n",
    ],
)
def test_what_cannot_be_renamed_is_refused(text: str) -> None:
    with pytest.raises(SyntaxError, match="cannot be renamed"):
        rename_imports(text, "x.py")


def test_the_wheel_holds_every_file_and_names_no_module_by_its_short_name(tmp_path: Path) -> None:
    stage(ROOT, tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {TOP}
    staged = {path.relative_to(tmp_path / TOP) for path in (tmp_path / TOP).rglob("*.*")}
    sources = {path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.*")}
    # Data too: a file that no pattern in pyproject.toml names would be missing where it is used.
    assert {path for path in sources if "__pycache__" not in path.parts} <= staged
    for path in (path for path in staged if path.suffix == ".py"):
        text = (tmp_path / TOP / path).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {*PACKAGES, "tests"}, path
