"""The recipes that start a cluster: sound for their systems, and true to the bench's commands."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer.main

from bench.cli import main as cli
from tests.support.bench_runs import ROOT

RECIPES = ROOT / "deploy" / "cluster"
COMPOSE = RECIPES / "compose.yaml"
KUBERNETES = RECIPES / "kubernetes.yaml"
SLURM = RECIPES / "slurm.py"
SSH = RECIPES / "ssh.sh"


def document(path: Path) -> Any:
    yaml = pytest.importorskip(
        "yaml", reason="PyYAML is missing: the recipes are NOT checked; run `make test`"
    )
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_compose_keeps_to_its_schema() -> None:
    pytest.importorskip(
        "check_jsonschema", reason="check-jsonschema is missing: the recipes are NOT checked"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", str(COMPOSE)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def container_commands() -> Iterator[list[str]]:
    for service in document(COMPOSE)["services"].values():
        command = service["command"]
        # Options alone are those of `bench run`: see deploy/docker/entrypoint.sh.
        yield ["bench", "run", *command] if command[0].startswith("-") else command
    spec = document(KUBERNETES)["spec"]
    for part in (spec["worker"], spec["scheduler"]):
        for container in part["spec"]["containers"]:
            yield container["args"]


def shell_commands() -> Iterator[list[str]]:
    """What the recipes' comments and scripts tell people and shells to run."""
    for path in (COMPOSE, KUBERNETES, SSH, SLURM):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ").replace('"$BENCH"', "bench")
        for found in re.findall(r"\bbench (?:run|cluster) [^\n`]*", text):
            words = [w for w in shlex.split(found, comments=True) if w not in ("&", "</dev/null")]
            yield [word for word in words if word != "$options"]


def test_every_command_of_the_recipes_exists() -> None:
    commands = [*container_commands(), *shell_commands()]
    assert len(commands) >= 9
    group: Any = typer.main.get_command(cli.commands)
    for words in commands:
        assert words[0] == "bench", words
        command, rest = group, words[1:]
        while hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        known = {option for parameter in command.params for option in parameter.opts}
        given = {word.split("=")[0] for word in rest if word.startswith("--")}
        assert given - {"--bench-results"} <= known, words


def test_all_parts_of_a_cluster_have_one_image() -> None:
    images = re.findall(r"image: (\S+)", KUBERNETES.read_text("utf-8"))
    values = re.findall(r"value: (registry\S+)", KUBERNETES.read_text("utf-8"))
    assert len(images) == 2
    assert len({*images, *values}) == 1
    spec = document(KUBERNETES)
    assert (spec["kind"], spec["apiVersion"]) == ("DaskCluster", "kubernetes.dask.org/v1")


def test_a_job_of_slurm_starts_a_worker_of_the_bench() -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    program = (
        "import slurm\n"
        "with slurm.make_cluster('short', '8 GB', '02:00:00') as cluster:\n"
        "    print(cluster.job_script())\n"
        "    print('deaths', cluster.scheduler.allowed_failures)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=RECIPES,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    module = re.search(r"--preload (\S+)", done.stdout)
    assert module is not None
    assert importlib.util.find_spec(module[1]) is not None
    assert "#SBATCH -p short" in done.stdout
    assert "deaths 0" in done.stdout


def test_ssh_starts_all_machines_and_ends_them(tmp_path: Path) -> None:
    """With an ssh that does here what it should do there."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "ssh": 'shift 3; echo "on $1"; shift; exec "$@"',
        "bench": f'exec {shlex.quote(sys.executable)} -m bench.cli "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "BENCH_CACHE": str(tmp_path / "cache"),
        "PORT": "0",
    }
    log = tmp_path / "log"
    # A port that is free now: the workers must know it before the scheduler has taken it.
    with socket.create_server(("127.0.0.1", 0)) as free:
        environment["PORT"] = str(free.getsockname()[1])
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(SSH), "127.0.0.1", "lab1 --processes 1", "lab2 --processes 0 --seats mps3=1"],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while log.read_text("utf-8").count("1 workers for") < 2:
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.2)
        found = log.read_text("utf-8")
        assert "on lab1" in found
        assert "on lab2" in found
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
        deadline = time.monotonic() + 60
        while left := of_session(process.pid):
            assert time.monotonic() < deadline, left
            time.sleep(0.2)
    finally:
        for one in of_session(process.pid):
            one.kill()


def of_session(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.Error):
            continue
    return found
