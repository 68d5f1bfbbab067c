"""The container launcher's command line, its user, its labels, and what it makes of complaints."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import ConfigError, PrerequisiteError
from targets.fvp.containers.engine import EngineKind, explain, find_engine
from targets.fvp.containers.launcher import (
    ContainerSettings,
    ContainerUser,
    container_options,
    work_mount,
)
from targets.fvp.containers.life import Owner

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


def test_no_engine_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrerequisiteError, match="docker or podman") as caught:
        find_engine()
    assert "install" in caught.value.cure


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
