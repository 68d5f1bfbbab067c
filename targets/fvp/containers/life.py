"""Containers never outlive the bench: names, labels, a guard while one runs, a sweep at the start.

A container is not a child of ours: it stays when its client is killed, and when we are killed.
While it runs, a guard process waits for our death and then removes it. If even the guard cannot
remove it (the machine's power failed, or guard and bench were killed together), the next bench
recognises it by its label and removes it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench.core.errors import PrerequisiteError
from targets.fvp.containers.engine import Engine

__all__ = ["LABEL", "Guard", "Owner", "new_name", "remove", "sweep"]

#: The label of every container of the bench; its value is the `Owner`.
LABEL = "ethos-u55-bench.owner"

#: Removes the container named $2 with the client $1 as soon as standard input ends without a line.
#: It does so twice, because the engine may have been creating the container.
_GUARD = 'read -r _ || { "$1" rm --force "$2"; sleep 3; "$1" rm --force "$2"; }'


@dataclass(frozen=True)
class Owner:
    """The process that a container belongs to, distinguished from later ones with the same id."""

    pid: int
    #: Clock ticks from boot to the process's start.
    started: int
    #: The kernel's boot and the namespace in which `pid` is valid.
    world: str

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), _start_of(os.getpid()) or 0, _world())

    def __str__(self) -> str:
        return f"{self.pid}.{self.started}.{self.world}"

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The owner in a label; None if it is not one of ours."""
        pid, _, rest = text.partition(".")
        started, _, world = rest.partition(".")
        if not (pid.isdecimal() and started.isdecimal() and world):
            return None
        return cls(int(pid), int(started), world)

    def is_gone(self) -> bool:
        """Whether the process is certainly dead; one of another boot or namespace may live."""
        return self.world == _world() and _start_of(self.pid) != self.started


def new_name() -> str:
    """A unique name for a container."""
    return f"ethos-u55-bench-{os.getpid()}-{secrets.token_hex(4)}"


def remove(engine: Engine, name: str) -> None:
    """Kill and remove the container, if it is there."""
    try:
        engine.ask("rm", "--force", name)
    except PrerequisiteError as error:
        text = str(error).lower()
        if "no such container" in text or "already in progress" in text:
            return
        raise


def sweep(engine: Engine) -> tuple[str, ...]:
    """Remove the containers of benches that are gone; returns their names."""
    listed = engine.ask(
        "ps",
        "--all",
        "--filter",
        f"label={LABEL}",
        "--format",
        f'{{{{.Names}}}} {{{{.Label "{LABEL}"}}}}',
    )
    removed = []
    for line in listed.splitlines():
        name, _, label = line.partition(" ")
        owner = Owner.parse(label)
        if owner is not None and owner.is_gone():
            # Another bench may be sweeping too.
            with contextlib.suppress(PrerequisiteError):
                remove(engine, name)
                removed.append(name)
    return tuple(removed)


class Guard:
    """A process that removes the container `name` if this one dies. A context manager."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._command = ["/bin/sh", "-c", _GUARD, "guard", engine.client, name]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Guard:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        # The container is gone, so end the guard. It may have died already.
        with contextlib.suppress(OSError):
            process.stdin.write(b"\n")
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()


def _start_of(pid: int) -> int | None:
    """When the process was started (field 22 of /proc/PID/stat, proc(5)); None if it is not there.

    A zombie counts as not there.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is a name in brackets, which may contain anything.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _world() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    return f"{boot}.{namespace}"
