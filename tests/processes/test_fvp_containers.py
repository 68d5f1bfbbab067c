"""The container launcher with clients of engines that are in trouble."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.core.errors import PrerequisiteError
from targets.fvp.containers.engine import Engine, EngineKind, find_engine
from targets.fvp.containers.launcher import (
    ContainerLauncher,
    ContainerSettings,
)
from targets.fvp.containers.life import Owner, remove, sweep
from targets.fvp.launch import Launch, Limits

#: What clients of docker 20.10 and 28.2 really say.
COMPLAINTS = [
    (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
        "Is the docker daemon running?",
        "daemon is not running",
        "systemctl start docker",
    ),
    (
        "permission denied while trying to connect to the Docker daemon socket at "
        "unix:///var/run/docker.sock: Get "
        '"http://%2Fvar%2Frun%2Fdocker.sock/v1.50/info": dial unix /var/run/docker.sock: '
        "connect: permission denied",
        "may not talk to the Docker daemon",
        "group docker",
    ),
    ("[]\nError response from daemon: no such image: nope:latest", "does not exist", "build it"),
]


def fake_client(directory: Path, body: str, name: str = "docker") -> str:
    """A client of an engine that is in trouble."""
    path = directory / name
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "Docker version 0" && exit\n{body}\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(("complaint", "what", "cure"), COMPLAINTS)
def test_the_trouble_of_an_engine_is_told_before_anything_is_run(
    tmp_path: Path, complaint: str, what: str, cure: str
) -> None:
    client = fake_client(tmp_path, f"cat >&2 <<'E'\n{complaint}\nE\nexit 1")
    launcher = ContainerLauncher(ContainerSettings("fvp", engine=client))
    with pytest.raises(PrerequisiteError, match=what) as caught:
        launcher.identity()
    assert cure in caught.value.cure


def test_an_engine_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.fvp.containers.engine._ANSWER_SECONDS", 0.3)
    with pytest.raises(PrerequisiteError, match=r"no answer in 0\.3 s"):
        Engine(EngineKind.DOCKER, fake_client(tmp_path, "sleep 1000")).ask("ps")


def test_podman_under_dockers_name_is_podman(tmp_path: Path) -> None:
    path = tmp_path / "docker"
    path.write_text("#!/bin/sh\necho podman version 4.3.1\n", encoding="utf-8")
    path.chmod(0o755)
    assert find_engine(str(path)).kind is EngineKind.PODMAN


def test_a_container_that_is_already_gone_is_removed(tmp_path: Path) -> None:
    for said in ("No such container: x", "removal of container x is already in progress"):
        remove(Engine(EngineKind.DOCKER, fake_client(tmp_path, f"echo '{said}' >&2; exit 1")), "x")
    engine = Engine(EngineKind.DOCKER, fake_client(tmp_path, "echo 'device busy' >&2; exit 1"))
    with pytest.raises(PrerequisiteError, match="device busy"):
        remove(engine, "x")


def test_only_the_dead_are_gone() -> None:
    mine = Owner.current()
    assert not mine.is_gone()
    with subprocess.Popen(["true"]) as process:
        process.wait()
    dead = Owner(process.pid, mine.started, mine.world)
    assert dead.is_gone()
    assert Owner(os.getpid(), mine.started + 1, mine.world).is_gone()
    assert not Owner(process.pid, 1, "elsewhere.1").is_gone()


def test_the_sweep_spares_the_living_and_strangers(tmp_path: Path) -> None:
    mine = Owner.current()
    listed = tmp_path / "listed"
    listed.write_text(
        f"living {mine}\ndead {Owner(os.getpid(), mine.started + 1, mine.world)}\n"
        "stranger\nodd not-an-owner\n",
        encoding="utf-8",
    )
    removed = tmp_path / "removed"
    body = f'case "$1" in ps) cat {listed};; rm) shift 2; echo "$@" >> {removed};; esac'
    engine = Engine(EngineKind.DOCKER, fake_client(tmp_path, body))
    assert sweep(engine) == ("dead",)
    assert removed.read_text(encoding="utf-8") == "dead\n"


def test_a_container_that_never_started_is_no_exit_status_0(tmp_path: Path) -> None:
    """podman calls it created, with status 0 and no error; only its client says why."""
    body = """
    case $1 in
      image) echo sha256:1;;
      inspect) echo '{"ExitCode": 0, "Error": "", "Status": "created"}';;
      start) echo 'Error: unable to start container: crun: setrlimit: Operation not permitted'
        exit 126;;
    esac
    """
    settings = ContainerSettings("never-started", engine=fake_client(tmp_path, body))
    (tmp_path / "work").mkdir()
    launch = Launch(("--version",), tmp_path / "work", tmp_path / "log", Limits(20))
    with pytest.raises(PrerequisiteError, match="refused: Error: unable to start container"):
        ContainerLauncher(settings).run(launch, lambda data: False)
