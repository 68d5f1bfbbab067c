"""The container engine's command line, with its error messages turned into sentences.

Docker and podman take the same commands here. `Engine.kind` says where they differ.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from shutil import which

from bench.core.errors import PrerequisiteError, TargetUnavailableError
from bench.core.logging import logger
from bench.core.processes import guarded

__all__ = ["Engine", "EngineKind", "explain", "find_engine"]

_LOG = logger(__name__)

#: Seconds that the engine has for an answer; with a slow storage driver, creating a container
#: copies the whole image.
_ANSWER_SECONDS = 180.0
#: Seconds that an interrupted request may still take, so that its result can be removed.
_FINISH_SECONDS = 30.0

_DOCS = "see docs/containers.md"


class EngineKind(Enum):
    """The two families of command lines."""

    DOCKER = "docker"
    PODMAN = "podman"


@dataclass(frozen=True)
class Engine:
    """An engine's client on this machine."""

    kind: EngineKind
    #: The client's absolute path.
    client: str

    def ask(self, *arguments: str) -> str:
        """What the client prints for `arguments`. Raises `PrerequisiteError` when it refuses.

        Ctrl-C does not reach the client. It is passed on after the client has ended. By then the
        object that the client was creating either exists and can be removed, or never will exist.
        """
        with contextlib.ExitStack() as stack:
            try:
                process = stack.enter_context(guarded([self.client, *arguments]))
            except OSError as error:
                raise PrerequisiteError(
                    f"the container engine {self.client} cannot be started: {error.strerror}",
                    cure=f"install docker or podman; {_DOCS}",
                ) from error
            out, err = self._answer(process, arguments[0])
        if process.returncode != 0:
            raise explain(self.kind, err or out or f"exit status {process.returncode}")
        return out.strip()

    def _answer(self, process: subprocess.Popen[bytes], verb: str) -> tuple[str, str]:
        """What the client printed to its two outputs."""
        try:
            output = process.communicate(timeout=_ANSWER_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise PrerequisiteError(
                f"{self.kind.value} {verb} gave no answer in {_ANSWER_SECONDS:g} s",
                cure=f"check with `{self.kind.value} info` whether the engine is overloaded",
            ) from error
        except BaseException:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_FINISH_SECONDS)
            raise
        out, err = (part.decode("utf-8", "replace") for part in output)
        return out, err


def find_engine(name: str = "") -> Engine:
    """The engine called `name`: docker, podman, or a client's path; empty = the installed one.

    Raises `PrerequisiteError` when there is none.
    """
    for candidate in [name] if name else [kind.value for kind in EngineKind]:
        client = which(candidate)
        if client is not None:
            # Ask the client, because podman is often installed under Docker's name.
            version = Engine(EngineKind.DOCKER, client).ask("--version")
            kind = EngineKind.PODMAN if "podman" in version.lower() else EngineKind.DOCKER
            _LOG.info("container engine: %s (%s)", client, kind.value)
            return Engine(kind, client)
    raise TargetUnavailableError(
        f"the container engine {name or '(docker or podman)'} is not installed",
        cure=f"install docker or podman, or name the one you have; {_DOCS}",
    )


def explain(kind: EngineKind, complaint: str) -> PrerequisiteError:
    """The engine's `complaint` as one sentence, with a cure."""
    for known in _KNOWN:
        if any(mark in complaint.lower() for mark in known.marks):
            return known.error(known.what, cure=known.cure)
    said = [line.strip() for line in complaint.splitlines() if line.strip()]
    # Clients end with "See 'docker run --help'.", which does not help here.
    said = [line for line in said if not line.startswith("See '")] or ["(no words)"]
    return PrerequisiteError(
        f"{kind.value} refused: {said[0]}", cure=f"try the command by hand; {_DOCS}"
    )


@dataclass(frozen=True)
class _Known:
    """An error message of an engine, and what it means."""

    #: Parts of the message, in lower case; one of them is enough.
    marks: Sequence[str]
    what: str
    cure: str
    error: type[PrerequisiteError] = PrerequisiteError


#: The first that matches is used.
_KNOWN = (
    _Known(
        ("permission denied while trying to connect",),
        "this user may not talk to the Docker daemon",
        "add the user to the group docker (sudo usermod -aG docker $USER, then log in again), "
        "or use rootless podman",
    ),
    _Known(
        (
            "cannot connect to the docker daemon",
            "is the docker daemon running",
            "failed to connect to the docker api",
        ),
        "the Docker daemon is not running",
        "start it (sudo systemctl start docker), or use podman, which needs none",
        TargetUnavailableError,
    ),
    _Known(
        ("no such image", "unable to find image", "image not known", "no such object"),
        "the container image does not exist here",
        f"build it, or correct its name; `docker images` lists what is here; {_DOCS}",
        TargetUnavailableError,
    ),
    _Known(
        ("executable file not found", "no such file or directory: unknown"),
        "the container image has no such executable",
        "name the FVP's executable as it is called inside the image",
    ),
    _Known(
        ("exec format error",),
        "the container image is for another processor",
        "build it on this machine, or for this machine's architecture",
    ),
    _Known(
        ("no space left on device",),
        "the container engine's disk is full",
        "free some space: `docker system df` and `docker system prune`",
    ),
)
