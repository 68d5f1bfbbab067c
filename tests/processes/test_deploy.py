"""The nightly recipes: sound for the systems they are for, and true to the bench's commands."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bench.cli import main as cli
from targets.registry import TARGETS

ROOT = Path(__file__).resolve().parent.parent.parent
GITHUB = ROOT / "deploy" / "github-nightly.yml"
GITLAB = ROOT / "deploy" / "gitlab-nightly.yml"
SCHEMAS = {GITHUB: "vendor.github-workflows", GITLAB: "vendor.gitlab-ci"}


def document(path: Path) -> Any:
    yaml = pytest.importorskip(
        "yaml", reason="PyYAML is missing: the recipes are NOT checked; run `make test`"
    )
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def scripts(path: Path) -> list[str]:
    """Every piece of shell in a recipe."""
    if path == GITHUB:
        steps = [step for job in document(path)["jobs"].values() for step in job["steps"]]
        return [step["run"] for step in steps if "run" in step]
    job = document(path)["nightly-mps3"]
    return [*job["before_script"], *job["script"]]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: p.name)
def test_a_recipe_keeps_to_the_schema_of_its_system(path: Path) -> None:
    pytest.importorskip(
        "check_jsonschema", reason="check-jsonschema is missing: the recipes are NOT checked"
    )
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[path], str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: p.name)
def test_a_recipe_s_shell_parses_and_its_commands_exist(
    path: Path, pytestconfig: pytest.Config
) -> None:
    known: dict[str, set[str]] = {
        "pytest": {
            name
            for group in [pytestconfig._parser._anonymous, *pytestconfig._parser._groups]
            for option in group.options
            for name in option.names()
        }
    }
    group: Any = typer.main.get_command(cli.commands)
    doctor = {o for p in group.commands["doctor"].params for o in p.opts}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    seen = set()
    for script in scripts(path):
        done = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
        assert done.returncode == 0, script
        for line in script.splitlines():
            program, *words = shlex.split(line)
            program = program.removeprefix(".venv/bin/")
            seen.add(program)
            options = {word.split("=")[0] for word in words if word.startswith("-")}
            if program == "pytest":
                assert options <= known["pytest"]
            elif program == "bench":
                assert words[0] == "doctor"
                assert options <= doctor
                asked = [b for a, b in itertools.pairwise(words) if a == "--target"]
                assert set(asked) <= set(TARGETS)
            elif program == "make":
                rule = words[0].replace(".venv", "$(VENV)")
                assert re.search(rf"^{re.escape(rule)}:", makefile, re.MULTILINE)
    assert {"pytest", "bench", "make"} <= seen


INSTALLERS = [*SCHEMAS, *(ROOT / name for name in ("Makefile", "Dockerfile", ".ci/run"))]


@pytest.mark.parametrize("path", INSTALLERS, ids=lambda p: p.name)
def test_whatever_is_installed_is_known_by_its_hash(path: Path) -> None:
    """But the project itself, which brings nothing along and is built with what is there."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if re.search(r"\bpip3? install\b", line):
            itself = {"--no-deps", "--no-build-isolation"} <= set(line.split())
            assert "--require-hashes" in line or itself, line


def test_what_a_board_needs_comes_out_of_the_lock_with_its_hashes() -> None:
    rules = subprocess.run(
        ["make", "--dry-run", "VENV=/dev/null/venv", "board"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    (extract,) = [line for line in rules.splitlines() if line.startswith("sed")]
    program = extract.rpartition(" >")[0]
    lock = subprocess.run(
        program, shell=True, cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    ).stdout
    first, *hashes = lock.replace("\\\n", "").split()
    assert re.fullmatch(r"pyserial==[0-9.]+", first)
    assert len(hashes) >= 1
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)


def test_both_recipes_do_the_same() -> None:
    def commands(path: Path) -> list[str]:
        return [line for script in scripts(path) for line in script.splitlines()]

    assert commands(GITHUB) == commands(GITLAB)
