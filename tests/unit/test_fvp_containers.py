"""The container launcher's command line, its user, its labels, and what it makes of complaints."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import ConfigError, PrerequisiteError
from targets.fvp.containers.engine import Engine, EngineKind, explain, find_engine
from targets.fvp.containers.launcher import (
    ContainerLauncher,
    ContainerSettings,
    ContainerUser,
    container_options,
    work_mount,
)
from targets.fvp.containers.life import Owner, remove, sweep
from targets.fvp.launch import Launch, Limits

SETTINGS = ContainerSettings("fvp:1", environment={"GLIBC_TUNABLES": "a.b=2"})
NOBODY = ContainerUser(65534, 65534, foreign=True)


def test_the_options_confine() -> None:
    options = container_options(SETTINGS, ContainerUser(1000, 100))
    assert {
        "--network=none",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--user=1000:100",
        "--memory=4g",
        "--memory-swap=4g",
        "--env=GLIBC_TUNABLES=a.b=2",
        "--entrypoint=FVP_Corstone_SSE-300_Ethos-U55",
    } <= set(options)
    assert not any(option.startswith(("--privileged", "--volume", "-v")) for option in options)


@given(
    kind=st.sampled_from(EngineKind),
    uid=st.integers(0, 70_000),
    gid=st.integers(0, 70_000),
    rootless=st.booleans(),
)
def test_nobody_is_root_inside(kind: EngineKind, uid: int, gid: int, rootless: bool) -> None:
    user = ContainerUser.choose(kind, uid=uid, gid=gid, rootless=rootless)
    assert user.uid != 0
    # Either the files are the user's own, or the directory is handed over.
    assert user.foreign or (user.uid, user.gid) == (uid, gid)


def test_rootless_podman_maps_the_user_onto_itself() -> None:
    user = ContainerUser.choose(EngineKind.PODMAN, uid=1000, gid=1000, rootless=False)
    assert "--userns=keep-id" in container_options(SETTINGS, user)
    assert "--userns=keep-id" not in container_options(SETTINGS, NOBODY)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0")).map("/x{}".format))
def test_any_directory_is_one_field_of_the_mount(directory: str) -> None:
    _, value = work_mount(directory)
    (fields,) = csv.reader([value])
    assert fields == ["type=bind", f"source={directory}", "target=/work"]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"image": ""}, "image"),
        ({"image": "--privileged"}, "image"),
        ({"image": "two words"}, "image"),
        ({"image": "fvp", "executable": "-x"}, "executable"),
        ({"image": "fvp", "memory": "4 GB"}, "memory"),
        ({"image": "fvp", "memory": "0"}, "memory"),
    ],
)
def test_settings_an_engine_would_misread(settings: dict[str, str], what: str) -> None:
    with pytest.raises(ConfigError, match=f"container {what}") as caught:
        ContainerSettings(**settings)  # type: ignore[arg-type]
    assert caught.value.cure


#: What clients really say: docker 20.10 and 28.2, podman 4.3.
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
    ("Error: No such image: nope", "does not exist", "build it"),
    ("Error: inspecting object: nope: image not known", "does not exist", "build it"),
    (
        "Error response from daemon: failed to create shim task: OCI runtime create failed: runc "
        'create failed: unable to start container process: exec: "nope": executable file not '
        "found in $PATH: unknown",
        "no such executable",
        "inside the image",
    ),
    ("exec /fvp: exec format error", "another processor", "architecture"),
    ("write /x: no space left on device", "disk is full", "prune"),
]


@pytest.mark.parametrize(("complaint", "what", "cure"), COMPLAINTS)
def test_a_complaint_becomes_a_sentence_with_its_cure(complaint: str, what: str, cure: str) -> None:
    error = explain(EngineKind.DOCKER, complaint)
    assert what in error.what
    assert cure in error.cure
    assert "\n" not in error.what + error.cure


@given(st.text())
def test_an_unknown_complaint_is_one_line(complaint: str) -> None:
    error = explain(EngineKind.PODMAN, complaint)
    assert len(error.what.splitlines()) == 1
    assert error.cure


def fake_client(directory: Path, body: str, name: str = "docker") -> str:
    """A client of an engine that is in trouble."""
    path = directory / name
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Docker version 0" && exit\n{body}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(("complaint", "what", "cure"), COMPLAINTS[:3])
def test_the_trouble_of_an_engine_is_told_before_anything_is_run(
    tmp_path: Path, complaint: str, what: str, cure: str
) -> None:
    client = fake_client(tmp_path, f"cat >&2 <<'E'\n{complaint}\nE\nexit 1")
    launcher = ContainerLauncher(ContainerSettings("fvp", engine=client))
    with pytest.raises(PrerequisiteError, match=what) as caught:
        launcher.identity()
    assert cure in caught.value.cure


def test_no_engine_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrerequisiteError, match="docker or podman") as caught:
        find_engine()
    assert "install" in caught.value.cure


def test_an_engine_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.fvp.containers.engine._ANSWER_SECONDS", 0.3)
    with pytest.raises(PrerequisiteError, match=r"no answer in 0\.3 s"):
        Engine(EngineKind.DOCKER, fake_client(tmp_path, "sleep 1000")).ask("ps")


def test_podman_under_dockers_name_is_podman(tmp_path: Path) -> None:
    path = tmp_path / "docker"
    path.write_text("#!/bin/sh\necho podman version 4.3.1\n")
    path.chmod(0o755)
    assert find_engine(str(path)).kind is EngineKind.PODMAN


def test_a_container_that_is_already_gone_is_removed(tmp_path: Path) -> None:
    for said in ("No such container: x", "removal of container x is already in progress"):
        remove(Engine(EngineKind.DOCKER, fake_client(tmp_path, f"echo '{said}' >&2; exit 1")), "x")
    engine = Engine(EngineKind.DOCKER, fake_client(tmp_path, "echo 'device busy' >&2; exit 1"))
    with pytest.raises(PrerequisiteError, match="device busy"):
        remove(engine, "x")


@given(
    pid=st.integers(1, 1 << 22), started=st.integers(0, 1 << 50), boot=st.uuids(), number=st.just(4)
)
def test_owners_survive_the_label(pid: int, started: int, boot: object, number: int) -> None:
    owner = Owner(pid, started, f"{boot}.{number}")
    assert Owner.parse(str(owner)) == owner


@given(st.text())
def test_a_label_of_others_is_no_owner(text: str) -> None:
    owner = Owner.parse(text)
    assert owner is None or str(owner) == text or not owner.is_gone()


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
        "stranger\nodd not-an-owner\n"
    )
    removed = tmp_path / "removed"
    body = f'case "$1" in ps) cat {listed};; rm) shift 2; echo "$@" >> {removed};; esac'
    engine = Engine(EngineKind.DOCKER, fake_client(tmp_path, body))
    assert sweep(engine) == ("dead",)
    assert removed.read_text() == "dead\n"


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
