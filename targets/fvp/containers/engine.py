"""The container engine's command line: asked, and its complaints made into sentences.

Docker and podman take the same words here; where they differ is `Engine.kind`.
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

#: Seconds the engine has for an answer; creating a container on a slow storage driver copies
#: the whole image.
_ANSWER_SECONDS = 180.0
#: Seconds an interrupted request may still take, so that what it makes can be removed.
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

        Ctrl-C does not reach the client, and is passed on after it has ended: what it was about to
        create exists then and can be removed, or never will.
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
                cure=f"is the engine overloaded? Look at `{self.kind.value} info`",
            ) from error
        except BaseException:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_FINISH_SECONDS)
            raise
        out, err = (part.decode("utf-8", "replace") for part in output)
        return out, err


def find_engine(name: str = "") -> Engine:
    """The engine called `name`: docker, podman, or a client's path; empty = whichever is here.

    Raises `PrerequisiteError` when there is none.
    """
    for candidate in [name] if name else [kind.value for kind in EngineKind]:
        client = which(candidate)
        if client is not None:
            # Asked, as podman is often installed under Docker's name.
            version = Engine(EngineKind.DOCKER, client).ask("--version")
            kind = EngineKind.PODMAN if "podman" in version.lower() else EngineKind.DOCKER
            _LOG.info("container engine: %s (%s)", client, kind.value)
            return Engine(kind, client)
    raise TargetUnavailableError(
        f"the container engine {name or '(docker or podman)'} is not installed",
        cure=f"install docker or podman, or name the one you have; {_DOCS}",
    )


def explain(kind: EngineKind, complaint: str) -> PrerequisiteError:
    """The engine's `complaint` as one sentence with its cure."""
    for known in _KNOWN:
        if any(mark in complaint.lower() for mark in known.marks):
            return known.error(known.what, cure=known.cure)
    said = [line.strip() for line in complaint.splitlines() if line.strip()]
    # Clients end with "See 'docker run --help'.", which helps nobody here.
    said = [line for line in said if not line.startswith("See '")] or ["(no words)"]
    return PrerequisiteError(
        f"{kind.value} refused: {said[0]}", cure=f"try the command by hand; {_DOCS}"
    )


@dataclass(frozen=True)
class _Known:
    """A complaint of an engine's, and what it means."""

    #: Parts of the complaint, in lower case; one of them is enough.
    marks: Sequence[str]
    what: str
    cure: str
    error: type[PrerequisiteError] = PrerequisiteError


#: The first that fits is taken.
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
