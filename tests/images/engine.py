"""A Docker engine to try the images on: the one that runs here, or one of our own for a while.

Our own lives in a directory and behind a socket of its own, changes nothing of the machine's
network, and is gone afterwards with everything it held.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["EngineUnavailableError", "RunningEngine", "install_engine", "running_engine"]

#: Debian's packages: the engine, and what makes a base image without a registry.
PACKAGES = ("docker.io", "debootstrap")
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_ASK_SECONDS = 30.0
_INSTALL_SECONDS = 600.0
#: The engine's own choice (overlay2 where the kernel has it) first; vfs works everywhere, and
#: copies the whole image for each container.
_STORAGE = ((), ("--storage-driver=vfs",))
#: If we are killed, the engine ends too, and its containers with it.
_DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


class EngineUnavailableError(Exception):
    """There is no engine to be had; the message is the reason."""


@dataclass(frozen=True)
class RunningEngine:
    """A Docker engine that answers."""

    #: What its clients need in their environment.
    environment: Mapping[str, str]
    #: Ours: nobody else uses it, and it will be gone.
    private: bool
    storage_driver: str

    def docker(self, *arguments: str, timeout: float = 600.0) -> str:
        """What `docker ARGUMENTS` prints. Raises `CalledProcessError` with it otherwise."""
        result = subprocess.run(
            ["docker", *arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=True,
        )
        return result.stdout.strip()


@contextlib.contextmanager
def running_engine(directory: Path | None = None) -> Iterator[RunningEngine]:
    """The engine of this machine if one answers, or one that is started for the while.

    `directory` is where a new one keeps its images (default: a temporary one); what lies there
    is taken up again and left there, a temporary one is removed. Raises `EngineUnavailableError`.
    """
    driver = _storage_driver({})
    if driver:
        yield RunningEngine({}, private=False, storage_driver=driver)
        return
    if os.getuid() != 0:
        raise EngineUnavailableError("no Docker engine answers, and only root can start one")
    for program in ("docker", "dockerd"):
        if shutil.which(program) is None:
            raise EngineUnavailableError(
                f"no Docker engine answers, and {program} is not installed"
            )
    with contextlib.ExitStack() as stack:
        # A socket's path must be short.
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-docker-")))
        data = directory
        if data is None:
            data = Path(tempfile.mkdtemp(prefix="bench-docker-", dir="/var/tmp"))
            stack.callback(shutil.rmtree, data, ignore_errors=True)
        yield stack.enter_context(_private_engine(sockets, data))


def install_engine() -> None:
    """Install Debian's packages of the engine. Raises `EngineUnavailableError` where it cannot."""
    if all(shutil.which(program) for program in ("docker", "dockerd", "debootstrap")):
        return
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        raise EngineUnavailableError(
            f"{' and '.join(PACKAGES)} are not installed; that needs root and Debian's apt-get"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "--yes", *PACKAGES]):
        try:
            result = subprocess.run(
                ["apt-get", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_INSTALL_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineUnavailableError(f"apt-get {command[0]} did not end") from error
        if result.returncode != 0:
            said = (result.stdout.strip().splitlines() or ["(no words)"])[-1]
            raise EngineUnavailableError(f"apt-get {command[0]} failed: {said}")


@contextlib.contextmanager
def _private_engine(sockets: Path, data: Path) -> Iterator[RunningEngine]:
    environment = {"DOCKER_HOST": f"unix://{sockets / 'engine.sock'}"}
    reasons = []
    for storage in _STORAGE:
        log = sockets / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *_DIES_WITH_US,
                    "dockerd",
                    f"--host={environment['DOCKER_HOST']}",
                    f"--data-root={data / 'data'}",
                    f"--exec-root={sockets / 'exec'}",
                    f"--pidfile={sockets / 'pid'}",
                    "--iptables=false",
                    "--ip-masq=false",
                    "--bridge=none",
                    *storage,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            driver = _wait_until_ready(process, environment)
            if driver:
                yield RunningEngine(environment, private=True, storage_driver=driver)
                return
        finally:
            _stop(process)
        said = log.read_text(errors="replace", encoding="utf-8").strip().splitlines() or [
            "(no words)"
        ]
        reasons.append(said[-1])
    raise EngineUnavailableError(f"dockerd does not start here: {reasons[-1]}")


def _wait_until_ready(process: subprocess.Popen[bytes], environment: Mapping[str, str]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        driver = _storage_driver(environment)
        if driver:
            return driver
        time.sleep(0.2)
    return ""


def _storage_driver(environment: Mapping[str, str]) -> str:
    """The storage driver of the engine that answers; empty if none does."""
    try:
        result = subprocess.run(
            ["docker", "info", "--format={{.Driver}}"],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the engine in good order: it takes its containers with it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
