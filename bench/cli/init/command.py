"""`bench init`: the first files of a user's own bench."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["init"]


class Ci(str, Enum):
    """Whose file to write."""

    AUTO = "auto"
    GITHUB = "github"
    GITLAB = "gitlab"
    NONE = "none"


#: GitLab has one file for all jobs, which is the user's; it includes ours.
_GITLAB = Path(".gitlab", "ethos-u55-bench.yml")
_IGNORE = Path(".gitignore")
_PLACES = {Ci.GITHUB: Path(".github", "workflows", "ethos-u55-bench.yml"), Ci.GITLAB: _GITLAB}


def init(
    directory: Annotated[Path, typer.Argument(help="Where the bench is to be.")] = Path(),
    models: Annotated[
        list[Path] | None,
        typer.Option("--model", metavar="FILE", help="A quantised .tflite; may be repeated."),
    ] = None,
    ci: Annotated[
        Ci, typer.Option(help="Whose CI file to write; auto: the system whose files are there.")
    ] = Ci.AUTO,
) -> None:
    """Write the first files of a bench: bench.toml, a recipe, a CI file.

    With --model, bench.toml measures these finished models as they are. Without, it trains and
    compresses a network that a recipe builds: a small Python file, which is written too and works,
    so that you can replace it bit by bit.

    What is already there is left alone.
    """
    from bench.cli.init.scaffold import (
        RECIPE_NAME,
        ci_file,
        configuration,
        recipe,
        workload_names,
    )

    found = {name: _checked(path) for name, path in workload_names(models or ()).items()}
    paths = {name: _relative(path, directory) for name, path in found.items()}
    files = {Path("bench.toml"): configuration(paths)}
    if not found:
        files[Path("recipes", f"{RECIPE_NAME}.py")] = recipe()
    system = _system(directory) if ci is Ci.AUTO else ci
    if system is not Ci.NONE:
        files[_PLACES[system]] = ci_file(system.value, trains=not found)
    files[_IGNORE] = "results/\n.bench-cache/\n"
    written = {path: _write(directory / path, text) for path, text in files.items()}
    if paths and not written[Path("bench.toml")]:
        lines = "\n".join(f'[workloads.{name}]\nmodel = "{path}"' for name, path in paths.items())
        print(f"to measure what you named, add it to bench.toml:\n\n{lines}\n")
    ignored = (directory / _IGNORE).read_text(encoding="utf-8", errors="replace")
    if "results" not in ignored:
        print(f"add results/ to {_IGNORE}: runs are kept there")
    if written.get(_GITLAB):
        print(f"include it in .gitlab-ci.yml:\n\ninclude:\n  - local: {_GITLAB.as_posix()}\n")
    print("next: bench doctor, bench run, and when you like what you see: bench baseline accept")


def _system(directory: Path) -> Ci:
    """The system whose files are in `directory`."""
    if (directory / ".gitlab-ci.yml").exists():
        return Ci.GITLAB
    return Ci.GITHUB if (directory / ".github").is_dir() else Ci.NONE


def _checked(path: Path) -> Path:
    """`path`. Raises `ModelError` if it is no model that the bench can measure."""
    from bench.tflite.adaptation import adapt, needs_adapting
    from bench.tflite.model_file import check_quantised
    from bench.tflite.reader import read_graph

    graph = read_graph(path)
    check_quantised(adapt(graph, path).data if needs_adapting(graph) else graph.data, path)
    return path


def _relative(path: Path, directory: Path) -> str:
    """As bench.toml in `directory` names it."""
    import os

    return Path(os.path.relpath(path.resolve(), directory.resolve())).as_posix()


def _write(path: Path, text: str) -> bool:
    """Write a file, unless it is there; whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Fails if it is there, whoever has made it a moment ago.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        print(f"kept   {path}: it was there")
        return False
    print(f"wrote  {path}")
    return True
