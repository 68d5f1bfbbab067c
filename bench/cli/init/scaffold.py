"""The texts of the files that `bench init` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from bench import __version__

__all__ = ["RECIPE_NAME", "ci_file", "configuration", "recipe", "workload_names"]

#: The workload of a bench whose network comes from a recipe.
RECIPE_NAME = "my_network"


def configuration(models: Mapping[str, str]) -> str:
    """`bench.toml` for `models`: name of the workload -> path; none of them: for a recipe."""
    if models:
        parts = [
            # TOML writes these strings as JSON does.
            _filled("model.toml", NAME=name, MODEL=json.dumps(path, ensure_ascii=False))
            for name, path in models.items()
        ]
    else:
        parts = [_filled("recipe.toml", NAME=RECIPE_NAME)]
    first = next(iter(models), RECIPE_NAME)
    return _filled("bench.toml", WORKLOADS="\n".join(parts), NAME=first)


def recipe() -> str:
    """A recipe that works, to be replaced bit by bit."""
    return _filled("recipe.py.txt")


def ci_file(system: str, *, trains: bool) -> str:
    """The file for `github` or `gitlab`; `trains` says whether it needs the extra `train`."""
    extra = "[train]" if trains else ""
    return _filled(f"{system}.yml", REQUIREMENT=f"ethos-u55-bench{extra}=={__version__}")


def workload_names(paths: Sequence[Path]) -> dict[str, Path]:
    """A name for each model, made of its file's name; all are different."""
    names: dict[str, Path] = {}
    for path in paths:
        name = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
        name = name if re.match(r"[a-z]", name) else f"model_{name}".rstrip("_")
        number = sum(1 for known in names if re.fullmatch(rf"{name}(_v[0-9]+)?", known))
        names[f"{name}_v{number + 1}" if number else name] = path
    return names


def _filled(template: str, **values: str) -> str:
    templates = resources.files(__package__) / "templates"
    text = (templates / template).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
