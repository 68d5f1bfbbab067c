"""What a program loads before it needs it: nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer.main

from bench.cli import main as cli
from targets.registry import TARGETS
from tests.support.bench_runs import ROOT

#: Packages that take a noticeable part of a second, or bring NumPy with them.
HEAVY = frozenset({"numpy", "rich", "flatbuffers", "ethosu", "tensorflow", "pandas", "sklearn"})
#: What every verb may load of the project before it is called.
GROUND = frozenset(
    {"bench", "bench.core", "bench.core.errors", "bench.core.logging", "bench.core.text"}
)


def loaded_by(program: str) -> set[str]:
    """The modules a fresh interpreter has after running `program`."""
    report = "\nimport json, sys\nsys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program + report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr))


def heavy(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] in HEAVY}


def targets_beyond_facts(modules: set[str]) -> set[str]:
    """The modules of `targets` that measure or read what Vela wrote."""
    facts = ("targets.settings", "targets.timing_profiles", "targets.ethos_u55", "targets.registry")
    return {name for name in modules if name.startswith("targets.") and not name.startswith(facts)}


@pytest.mark.parametrize(
    "program",
    [
        "import bench.plan",
        "import bench.plan.config",
        "import bench.plan.grid",
        "import targets.registry",
        "from pathlib import Path\n"
        "from bench.plan.config import load_config\n"
        "from bench.plan.grid import make_plan\n"
        "assert make_plan(load_config(Path('bench.toml'))).cells",
    ],
)
def test_the_plan_is_made_without_numpy_and_without_a_target(program: str) -> None:
    modules = loaded_by(program)
    assert heavy(modules) == set()
    assert targets_beyond_facts(modules) == set()


def command_lines() -> Iterator[tuple[str, ...]]:
    def walk(path: tuple[str, ...], command: object) -> Iterator[tuple[str, ...]]:
        yield path
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk((*path, name), inner)

    return walk((), typer.main.get_command(cli.commands))


@pytest.mark.parametrize("path", [*command_lines()], ids=" ".join)
def test_help_loads_neither_numpy_nor_what_the_verb_works_with(path: tuple[str, ...]) -> None:
    modules = loaded_by(
        f"import sys\nsys.argv = {['bench', *path, '--help']!r}\n"
        "from bench.cli import app\n"
        "try:\n    app()\nexcept SystemExit as leave:\n    assert not leave.code, leave.code"
    )
    assert heavy(modules) == set()
    ours = {name for name in modules if name.partition(".")[0] in ("bench", "models", "targets")}
    assert {name for name in ours if not name.startswith("bench.cli")} <= GROUND


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_made_without_the_others(name: str) -> None:
    modules = loaded_by(
        "from pathlib import Path\n"
        "from targets.registry import TARGETS, TargetContext\n"
        "from targets.settings import TargetSettings\n"
        "context = TargetContext(lambda model, inputs: (), TargetSettings(), Path('logs'))\n"
        f"assert TARGETS[{name!r}].make(context).capabilities().name == {name!r}"
    )
    others = {f"targets.{other}" for other in TARGETS if other != name}
    assert others & modules == set()
    assert any(module.startswith(f"targets.{name}") for module in modules)
