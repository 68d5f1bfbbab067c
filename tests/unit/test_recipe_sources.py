"""Which files a recipe consists of: found in its text, and looked for where a user has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import ConfigError
from models.reading.sources import RECIPE, recipe_sources


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "recipes/kws.py": "import numpy\nfrom own.layers import Scale\nimport tensorflow as tf\n",
        "own/__init__.py": "from . import constants\n",
        "own/layers.py": "def make():\n    from ..own.deep.inner import f\n    import own.lazy\n",
        "own/constants.py": "X = 1\n",
        "own/lazy.py": "import json\n",
        "own/deep/inner.py": "from .. import missing\n",
        "recipes/beside.py": "",
        "unused.py": "raise SystemExit",
        "tensorflow.py": "raise SystemExit",
        "json.py": "raise SystemExit",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def names(project: Path) -> list[str]:
    recipe = project / "recipes" / "kws.py"
    return sorted(recipe_sources(recipe, (project, recipe.parent)))


def test_every_module_of_the_user_s_counts_and_no_other(project: Path) -> None:
    """Also what is imported in a function, relatively, or through a folder without `__init__`."""
    assert names(project) == [
        RECIPE,
        *("own", "own.constants", "own.deep.inner", "own.layers", "own.lazy"),
    ]


def test_a_module_is_also_found_beside_the_recipe(project: Path) -> None:
    with (project / "recipes" / "kws.py").open("a") as stream:
        stream.write("import beside\n")
    assert "beside" in names(project)


def test_one_byte_changes_a_hash(project: Path) -> None:
    recipe = project / "recipes" / "kws.py"
    before = recipe_sources(recipe, (project,))
    (project / "own" / "lazy.py").write_text("import json \n", encoding="utf-8")
    after = recipe_sources(recipe, (project,))
    assert [name for name in before if before[name] != after[name]] == ["own.lazy"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"def data(:\n", "line 1: is not Python"),
        (b"x = '\xff'\n", "is not Python"),
        (b"\0", "is not Python"),
        (b"(" * 3000, "is not Python"),
    ],
)
def test_what_is_not_python_is_one_message(project: Path, text: bytes, told: str) -> None:
    file = project / "own" / "lazy.py"
    file.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        names(project)
    assert str(file) in str(caught.value)
    assert told in str(caught.value)


def test_a_recipe_that_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.py: cannot be read"):
        recipe_sources(tmp_path / "absent.py", (tmp_path,))
    (tmp_path / "pipe.py").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        recipe_sources(tmp_path / "pipe.py", (tmp_path,))


@pytest.mark.parametrize("name", ["models", "targets", "bench"])
def test_in_a_checkout_a_package_of_the_user_s_with_a_name_of_ours_is_refused(
    project: Path, name: str
) -> None:
    (project / name).mkdir()
    (project / name / "__init__.py").write_text("", encoding="utf-8")
    (project / "recipes" / "kws.py").write_text(f"import {name}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"'{name}' is its own"):
        names(project)
