"""FVP processes in containers: one container per job, from an image of the user's.

The container has no network, a read-only root file system, no privileges, a user that is not root,
and limits on memory and processes. It sees the job's working directory and nothing else of this
machine.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from bench.core.errors import ConfigError, TargetError
from targets.fvp.containers.engine import Engine, EngineKind, explain, find_engine
from targets.fvp.containers.life import LABEL, Guard, Owner, new_name, remove, sweep
from targets.fvp.launch import Consumer, Ending, Launch, Outcome
from targets.fvp.process import run_process

__all__ = [
    "ContainerLauncher",
    "ContainerSettings",
    "ContainerUser",
    "container_options",
    "work_mount",
]

#: The path of the job's working directory inside the container.
_WORK = "/work"
#: Processes and threads; a model has a few dozen.
_PROCESSES = 512
#: The user `nobody` of all Linux distributions.
_NOBODY = 65534
#: The states in which docker and podman report a container that was created and never ran.
_NEVER_STARTED = ("created", "configured", "initialized")
#: If signal n ended a container, its exit status is this plus n.
_SIGNAL_BASE = 128
_HIGHEST_SIGNAL = 64


@dataclass(frozen=True)
class ContainerSettings:
    """The user's settings for the containers in which the FVP runs."""

    #: Name, or name and tag, of an image on this machine; it is never pulled.
    image: str
    #: `docker`, `podman`, or a client's path; empty = the installed one, docker first.
    engine: str = ""
    #: The FVP inside the image: found along its PATH, or an absolute path.
    executable: str = "FVP_Corstone_SSE-300_Ethos-U55"
    #: Memory for one container, in the engines' notation: `512m`, `4g`. It includes swap.
    memory: str = "4g"
    #: Set inside the container.
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise `ConfigError` for values that an engine would misunderstand."""
        for key, value in (("image", self.image), ("executable", self.executable)):
            if not value or value.startswith("-") or re.search(r"\s", value):
                raise ConfigError(
                    f"container {key} {value!r} is not a name",
                    cure=f"write the {key}'s name, without blanks or options",
                )
        if not re.fullmatch(r"[1-9][0-9]*[bkmg]?", self.memory):
            raise ConfigError(
                f"container memory {self.memory!r} is not a size",
                cure="write a number and b, k, m or g, for example 4g",
            )


@dataclass(frozen=True)
class ContainerUser:
    """The user as which the FVP runs inside its container. Never root."""

    uid: int
    gid: int
    #: Rootless podman: map the user to itself, so that it owns its files.
    keep_id: bool = False
    #: The user is not ours, so the working directory must be opened for it.
    foreign: bool = False

    @classmethod
    def choose(cls, kind: EngineKind, *, uid: int, gid: int, rootless: bool) -> ContainerUser:
        """The user for an engine; `uid` and `gid` are the bench's own on this machine."""
        if uid == 0:
            return cls(_NOBODY, _NOBODY, foreign=True)
        if kind is EngineKind.PODMAN:
            return cls(uid, gid, keep_id=True)
        if rootless:
            # Inside, our own user is root, and every other user owns nothing here.
            return cls(_NOBODY, _NOBODY, foreign=True)
        return cls(uid, gid)


@dataclass(frozen=True)
class ContainerLauncher:
    """Runs an executable in containers. It uses the engine only when it is needed."""

    settings: ContainerSettings

    def identity(self) -> Mapping[str, str]:
        """The image's id and the executable. Raises `PrerequisiteError` without engine or image."""
        return {
            "image": _image(self.settings).id,
            "executable": self.settings.executable,
            "environment": json.dumps(dict(sorted(self.settings.environment.items()))),
        }

    def command(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """A command line that does the same as `run`, by hand in the job's directory."""
        image = _image(self.settings)
        return (
            image.engine.kind.value,
            "run",
            "--rm",
            *container_options(self.settings, image.user),
            *work_mount("$PWD"),
            self.settings.image,
            *arguments,
        )

    def run(self, launch: Launch, consume: Consumer) -> Outcome:
        """See `Launcher.run`.

        Also raises `PrerequisiteError` when the image cannot start the executable, and
        `TargetError` when it needed more memory than `ContainerSettings.memory`.
        """
        image = _image(self.settings)
        engine = image.engine
        name = new_name()
        if image.user.foreign:
            _hand_over(launch.directory, image.user)
        states: list[_State] = []
        with Guard(engine, name):
            try:
                # Create and start are two steps: after the first has answered, removing the
                # container ends the run, whatever the engine is doing.
                engine.ask(
                    "create",
                    "--pull=never",
                    f"--name={name}",
                    f"--label={LABEL}={Owner.current()}",
                    *container_options(self.settings, image.user),
                    *work_mount(str(launch.directory.absolute())),
                    image.id,
                    *launch.arguments,
                )
                outcome = run_process(
                    (engine.client, "start", "--attach", name),
                    launch,
                    consume,
                    cleanup=lambda: states.append(_state(engine, name)),
                )
            finally:
                remove(engine, name)
        return self._judged(outcome, states[-1], engine)

    def _judged(self, outcome: Outcome, state: _State, engine: Engine) -> Outcome:
        """The outcome with the program's own status instead of the client's."""
        if outcome.ending is not Ending.EXITED:
            return outcome
        if state.error or not state.started:
            raise explain(engine.kind, state.error or outcome.excerpt)
        if state.out_of_memory:
            raise TargetError(
                f"the FVP was ended: it wanted more than the {self.settings.memory} of memory that "
                "its container may have",
                cure="raise `memory` in the FVP's container settings",
            )
        status = state.status
        if _SIGNAL_BASE < status <= _SIGNAL_BASE + _HIGHEST_SIGNAL:
            status = _SIGNAL_BASE - status
        return replace(outcome, status=status)


def container_options(settings: ContainerSettings, user: ContainerUser) -> tuple[str, ...]:
    """The options of `docker create` and `podman create` that confine one job."""
    return (
        "--network=none",
        "--read-only",
        "--tmpfs=/tmp:rw,nosuid,nodev,size=256m,mode=1777",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        # The working directory keeps its SELinux label, so the container has none.
        "--security-opt=label=disable",
        *(("--userns=keep-id",) if user.keep_id else ()),
        f"--user={user.uid}:{user.gid}",
        f"--memory={settings.memory}",
        f"--memory-swap={settings.memory}",
        f"--pids-limit={_PROCESSES}",
        # The output goes to the bench, which limits it; the engine would keep a copy.
        "--log-driver=none",
        "--env=HOME=/tmp",
        *(f"--env={key}={value}" for key, value in sorted(settings.environment.items())),
        f"--workdir={_WORK}",
        f"--entrypoint={settings.executable}",
    )


@dataclass(frozen=True)
class _Image:
    """An image on an engine, and how it is used there."""

    engine: Engine
    id: str
    user: ContainerUser


@dataclass(frozen=True)
class _State:
    """What the engine knows of a container that has ended."""

    status: int
    out_of_memory: bool
    #: Why it could not be started; empty if it could be, and always with podman.
    error: str
    started: bool


@cache
def _find(engine_name: str, image: str) -> _Image:
    """Asked once per process, so that a run of the bench uses a single image."""
    engine = find_engine(engine_name)
    found = engine.ask("image", "inspect", "--format={{.Id}}", image)
    rootless = engine.kind is EngineKind.DOCKER and "name=rootless" in engine.ask(
        "info", "--format={{json .SecurityOptions}}"
    )
    sweep(engine)
    user = ContainerUser.choose(engine.kind, uid=os.getuid(), gid=os.getgid(), rootless=rootless)
    return _Image(engine, found, user)


def _image(settings: ContainerSettings) -> _Image:
    return _find(settings.engine, settings.image)


def _state(engine: Engine, name: str) -> _State:
    told = json.loads(engine.ask("inspect", "--type=container", "--format={{json .State}}", name))
    return _State(
        status=int(told["ExitCode"]),
        out_of_memory=bool(told.get("OOMKilled", False)),
        error=str(told.get("Error", "")),
        started=told.get("Status") not in _NEVER_STARTED,
    )


def work_mount(source: str) -> tuple[str, str]:
    """The working directory as a mount. The value is a CSV record: see docker-run(1)."""
    quoted = source.replace('"', '""')
    return ("--mount", f'type=bind,"source={quoted}",target={_WORK}')


def _hand_over(directory: Path, user: ContainerUser) -> None:
    """Let the container's user, which is not ours, write to the directory and read its files."""
    for path in (directory, *directory.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
        else:
            path.chmod(0o777 if path.is_dir() else 0o666)
