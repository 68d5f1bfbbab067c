"""The recipes for shards: sound for their systems, secure, and true to the bench's commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bench.cli import main as cli
from bench.report.ending import Ending
from tests.support.zizmor import require_nothing_insecure

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
GITHUB = DEPLOY / "github-shards.yml"
GITLAB = DEPLOY / "gitlab-shards.yml"
KUBERNETES = DEPLOY / "kubernetes-shards.yaml"
AGAIN = int(Ending.INFRASTRUCTURE)


def documents(path: Path) -> list[Any]:
    yaml = pytest.importorskip(
        "yaml", reason="PyYAML is missing: the recipes are NOT checked; run `make test`"
    )
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def scripts(path: Path) -> list[str]:
    """Every piece of shell in a recipe."""
    if path == KUBERNETES:
        containers = [d["spec"]["template"]["spec"]["containers"][0] for d in documents(path)]
        return [container["args"][2] for container in containers]
    (found,) = documents(path)
    if path == GITHUB:
        steps = [step for job in found["jobs"].values() for step in job["steps"]]
        return [step["run"] for step in steps if "run" in step]
    parts = ("before_script", "script", "after_script")
    return [line for job in found.values() for part in parts for line in job.get(part, ())]


def bench_commands(path: Path) -> list[list[str]]:
    """The words of each command of the bench in a recipe."""
    lines = [line for script in scripts(path) for line in script.splitlines()]
    found = [re.search(r"(?:^|[ /])bench ((?:run|report|plan) .*)", line) for line in lines]
    return [shlex.split(match[1].split("||")[0]) for match in found if match]


@pytest.mark.parametrize(
    ("path", "schema"), [(GITHUB, "vendor.github-workflows"), (GITLAB, "vendor.gitlab-ci")]
)
def test_a_recipe_keeps_to_the_schema_of_its_system(path: Path, schema: str) -> None:
    pytest.importorskip(
        "check_jsonschema", reason="check-jsonschema is missing: the recipes are NOT checked"
    )
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_takes_its_recipe() -> None:
    lint = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is missing: the recipes are NOT checked"
    )
    for document in documents(KUBERNETES):
        lint.validate(document, "1.33", strict=True)
    broken = documents(KUBERNETES)[0]
    broken["spec"]["parallel"] = 4
    with pytest.raises(lint.ValidationError):
        lint.validate(broken, "1.33", strict=True)


def test_zizmor_finds_nothing_insecure() -> None:
    require_nothing_insecure(GITHUB)
    (document,) = documents(GITHUB)
    assert document["permissions"] == {"contents": "read"}
    asked = [job.get("permissions", {}) for job in document["jobs"].values()]
    assert asked == [{}, {"contents": "read", "actions": "read"}]


@pytest.mark.parametrize("path", [GITHUB, GITLAB, KUBERNETES], ids=lambda p: p.name)
def test_its_shell_parses_and_its_commands_exist(path: Path, pytestconfig: pytest.Config) -> None:
    for script in scripts(path):
        done = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
        assert done.returncode == 0, script
    of_pytest = {
        name
        for group in [pytestconfig._parser._anonymous, *pytestconfig._parser._groups]
        for option in group.options
        for name in option.names()
    }
    verbs: Any = typer.main.get_command(cli.commands)
    seen = []
    for verb, *words in bench_commands(path):
        command = verbs.commands[verb]
        if verb == "report":
            command = command.commands["merge" if words[0] == "merge" else "show"]
        known = {option for parameter in command.params for option in parameter.opts}
        known |= of_pytest if verb == "run" else set()
        assert {w.split("=")[0] for w in words if w.startswith("-")} <= known, (verb, words)
        seen.append(f"{verb} {words[0]}")
    assert seen[:2] == ["run --shard", "report merge"]


def test_each_shard_is_run_once_and_their_number_is_the_same_everywhere() -> None:
    (github,), (gitlab,) = documents(GITHUB), documents(GITLAB)
    job = github["jobs"]["shard"]
    assert job["strategy"]["matrix"]["shard"] == [*range(1, job["env"]["SHARDS"] + 1)]
    assert job["strategy"]["fail-fast"] is False
    assert gitlab["bench-shard"]["parallel"] == 4
    (script,) = [s for s in gitlab["bench-shard"]["script"] if "--shard" in s]
    assert '--shard "$CI_NODE_INDEX/$CI_NODE_TOTAL"' in script
    spec = documents(KUBERNETES)[0]["spec"]
    variables = {one["name"]: one["value"] for one in container(0)["env"]}
    assert spec["completions"] == spec["parallelism"] == int(variables["SHARDS"])
    assert spec["completionMode"] == "Indexed"
    # What Kubernetes counts from 0, the bench counts from 1.
    command = scripts(KUBERNETES)[0].replace("exec bench", "echo")
    done = subprocess.run(
        ["bash", "-c", command],
        env={"JOB_COMPLETION_INDEX": "3", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("run --shard 4/4 ")


def container(number: int) -> Any:
    return documents(KUBERNETES)[number]["spec"]["template"]["spec"]["containers"][0]


def test_only_an_infrastructure_that_failed_is_tried_again() -> None:
    (gitlab,) = documents(GITLAB)
    assert gitlab["bench-shard"]["retry"]["exit_codes"] == [AGAIN]
    rules = documents(KUBERNETES)[0]["spec"]["podFailurePolicy"]["rules"]
    never = next(rule["onExitCodes"] for rule in rules if rule["action"] == "FailIndex")
    assert never["operator"] == "In"
    assert int(Ending.VERDICT) in never["values"]
    assert AGAIN not in never["values"]
    assert container(0)["name"] == never["containerName"]


@pytest.mark.parametrize(
    ("statuses", "tries", "ended"),
    [("0", 1, 0), ("1", 1, 1), ("75 75 75", 3, 75), ("75 0", 2, 0), ("75 1", 2, 1), ("4", 1, 4)],
)
def test_github_tries_again_where_another_try_may_help(
    tmp_path: Path, statuses: str, tries: int, ended: int
) -> None:
    """The step itself, with a program in the bench's place that ends with each status in turn."""
    (script,) = [text for text in scripts(GITHUB) if "--shard" in text]
    program = tmp_path / ".venv" / "bin" / "bench"
    program.parent.mkdir(parents=True)
    program.write_text(
        '#!/bin/bash\necho "$@" >> calls\nset -- ' + statuses + "\n"
        'shift $(($(wc -l < calls) - 1))\nexit "$1"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "SHARD": "2", "SHARDS": "4"},
        check=False,
    )
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert (len(calls), done.returncode) == (tries, ended)
    assert set(calls) == {"run --shard 2/4 --bench-results=results"}


@pytest.mark.parametrize("path", [GITHUB, GITLAB], ids=lambda p: p.name)
def test_what_was_found_is_kept_also_if_it_is_red_and_not_twice(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.search(r"results/(shard-\*/)?2\*/", text)
    assert not re.search(r"results/(\]|\s*$|\*)", text, re.MULTILINE), "it ships `latest` too"
    (document,) = documents(path)
    if path == GITHUB:
        for job in document["jobs"].values():
            kept = [s for s in job["steps"] if s.get("name", "").startswith(("Keep", "Tell"))]
            assert kept
            assert all(step["if"] == "${{ !cancelled() }}" for step in kept)
        assert document["jobs"]["whole"]["if"] == "${{ !cancelled() }}"
    else:
        assert all(job["artifacts"]["when"] == "always" for job in document.values())
        assert all(rule["when"] == "always" for rule in document["bench-whole"]["rules"])
