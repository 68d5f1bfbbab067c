"""The recipes: sound for the systems they are for, secure, and true to the bench's commands."""

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
from tests.support.zizmor import require_nothing_insecure

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
GITHUB = DEPLOY / "github-nightly.yml"
GITLAB = DEPLOY / "gitlab-nightly.yml"
ON_GITHUB = (GITHUB, DEPLOY / "github.yml")
ON_GITLAB = (GITLAB, DEPLOY / "gitlab.yml")
JENKINS = DEPLOY / "Jenkinsfile"
SCHEMAS = dict.fromkeys(ON_GITHUB, "vendor.github-workflows") | dict.fromkeys(
    ON_GITLAB, "vendor.gitlab-ci"
)
RECIPES = (*SCHEMAS, JENKINS)


def document(path: Path) -> Any:
    yaml = pytest.importorskip(
        "yaml", reason="PyYAML is missing: the recipes are NOT checked; run `make test`"
    )
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def scripts(path: Path) -> list[str]:
    """Every piece of shell in a recipe."""
    if path == JENKINS:
        return re.findall(r"\bsh '([^']*)'", path.read_text(encoding="utf-8"))
    if path in ON_GITHUB:
        steps = [step for job in document(path)["jobs"].values() for step in job["steps"]]
        return [step["run"] for step in steps if "run" in step]
    (job,) = document(path).values()
    parts = ("before_script", "script", "after_script")
    return [line for part in parts for line in job.get(part, ())]


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


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_a_recipe_s_shell_parses_and_its_commands_exist(
    path: Path, pytestconfig: pytest.Config
) -> None:
    known = {
        name
        for group in [pytestconfig._parser._anonymous, *pytestconfig._parser._groups]
        for option in group.options
        for name in option.names()
    }
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
                assert options <= known
            elif program == "bench":
                assert options <= verb_options(words[0])
                asked = [b for a, b in itertools.pairwise(words) if a == "--target"]
                assert set(asked) <= set(TARGETS)
            elif program == "make":
                rule = words[0].replace(".venv", "$(VENV)")
                assert re.search(rf"^{re.escape(rule)}:", makefile, re.MULTILINE)
    assert {"bench", "make"} <= seen


def verb_options(verb: str) -> set[str]:
    """The options of a verb; of a group, those of the verb that is meant where none is named."""
    command: Any = typer.main.get_command(cli.commands)
    found = command.commands[verb]
    found = getattr(found, "commands", {}).get(getattr(found, "default_verb", ""), found)
    return {option for parameter in found.params for option in parameter.opts}


@pytest.mark.parametrize("path", ON_GITHUB, ids=lambda p: p.name)
def test_zizmor_finds_nothing_insecure(path: Path) -> None:
    """Minimal permissions, actions by their hashes, no credentials left, nothing injected."""
    require_nothing_insecure(path)
    assert document(path)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_a_recipe_publishes_also_what_is_red_and_nothing_twice(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.search(r"results/2\*/", text)
    assert not re.search(r"results/(\]|\s*$|\*)", text, re.MULTILINE), "it ships `latest` too"
    if path in ON_GITHUB:
        (job,) = document(path)["jobs"].values()
        measured = next(i for i, step in enumerate(job["steps"]) if step.get("name") == "Measure")
        after = job["steps"][measured + 1 :]
        assert after
        assert all(step["if"] in ("always()", "${{ !cancelled() }}") for step in after)
    elif path in ON_GITLAB:
        (job,) = document(path).values()
        assert job["artifacts"]["when"] == "always"
        assert job.get("cache", {"when": "always"})["when"] == "always"
        assert set(job["artifacts"]["reports"]) == {"junit", "metrics"}
    else:
        assert text.count("{") == text.count("}")
        (post,) = re.findall(r"post \{(.*)", text, re.DOTALL)
        assert "always {" in post
        assert "junit" in post


INSTALLERS = [*RECIPES, *(ROOT / name for name in ("Makefile", "Dockerfile", ".ci/run"))]


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


def test_both_nightly_recipes_do_the_same() -> None:
    def commands(path: Path) -> list[str]:
        lines = [line for script in scripts(path) for line in script.splitlines()]
        # What the systems show differs.
        return [line for line in lines if "bench report" not in line]

    assert commands(GITHUB) == commands(GITLAB)
