"""Clusters of the bench on this machine: each worker a machine of its own, as far as it can see.

Where the system allows it (root, iproute2), a machine has a network namespace and sees neither the
client's directories nor those of other machines. Elsewhere they are processes with homes, caches
and temporary directories of their own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import randint

import psutil

from bench.records.record import Record
from tests.support.bench_runs import ROOT, BenchRun, BenchRunner

#: Far more than any start takes, even on a busy machine.
PATIENCE_S = 120


def figures(run: BenchRun) -> dict[str, Record]:
    """Its records without the verdicts, whose commands name the run's own places."""
    return {
        name: record.model_copy(update={"verdicts": ()}) for name, record in run.records().items()
    }


def has_namespaces() -> bool:
    """Whether machines can be told apart by the system."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        return False
    name = f"bp{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "link", "add", name, "type", "bridge"], capture_output=True)
    if made.returncode:
        return False
    subprocess.run(["ip", "link", "del", name], check=True)
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def wait_until(
    what: str,
    found: Callable[[], bool],
    seconds: float = PATIENCE_S,
    told: Callable[[], object] = str,
) -> None:
    """Wait for a state. `told` says what is there instead."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s; {told()}"
        time.sleep(0.1)


@dataclass
class Machine:
    """A program of the cluster, where it runs."""

    name: str
    directory: Path
    process: subprocess.Popen[bytes]
    #: The end of its cable on our side; empty without namespaces.
    cable: str = ""

    @property
    def cache(self) -> Path:
        return self.directory / "cache"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(encoding="utf-8", errors="replace")

    def descendants(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
            return found
        return []

    def workers(self) -> list[psutil.Process]:
        """The processes in which tasks run."""
        return [p for p in self.descendants() if is_worker(p)]

    def kill(self) -> None:
        """End the program as a power cut would, but for what notices by itself."""
        with suppress(psutil.NoSuchProcess):
            for process in (psutil.Process(self.process.pid), *self.descendants()):
                if is_program(process):
                    process.kill()
        self.process.wait()

    def cut(self) -> None:
        subprocess.run(["ip", "link", "set", self.cable, "down"], check=True)

    def mend(self) -> None:
        subprocess.run(["ip", "link", "set", self.cable, "up"], check=True)


def is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "multiprocessing.spawn" in " ".join(process.cmdline())
    return False


def is_program(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "bench.cli" in process.cmdline()
    return False


@dataclass
class Cluster:
    """A scheduler and workers."""

    directory: Path
    isolated: bool
    client: Path
    bridge: str = field(default_factory=lambda: f"b{secrets.token_hex(3)}")
    subnet: str = field(default_factory=lambda: f"10.{randint(77, 176)}.{randint(0, 255)}")
    machines: list[Machine] = field(default_factory=list)
    address: str = ""

    def start_scheduler(self, port: int = 0) -> Machine:
        host = f"{self.subnet}.10" if self.isolated else "127.0.0.1"
        scheduler = self._start("scheduler", ["scheduler", "--host", host, "--port", str(port)])
        wait_until("scheduler", lambda: "scheduler at" in scheduler.log)
        self.address = scheduler.log.split("scheduler at ")[1].split()[0]
        return scheduler

    def start_worker(self, *options: str, environment: dict[str, str] | None = None) -> Machine:
        name = f"worker{len(self.machines)}"
        arguments = ["worker", self.address, *(options or ("--processes", "1"))]
        return self._start(name, arguments, environment)

    def started(self, worker: Machine) -> None:
        wait_until(worker.name, lambda: "workers for" in worker.log)

    def _start(
        self, name: str, arguments: Sequence[str], environment: dict[str, str] | None = None
    ) -> Machine:
        directory = self.directory / name
        for part in ("home", "tmp"):
            (directory / part).mkdir(parents=True)
        command = [sys.executable, "-m", "bench.cli", "cluster", *arguments]
        cable = ""
        if self.isolated:
            hidden = [self.client, *(machine.directory for machine in self.machines)]
            command, cable = self._apart(len(self.machines), command, hidden)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "BENCH_"))}
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=directory / "home",
                env={
                    **kept,
                    "PYTHONPATH": str(ROOT),
                    "HOME": str(directory / "home"),
                    "TMPDIR": str(directory / "tmp"),
                    "BENCH_CACHE": str(directory / "cache"),
                    **(environment or {}),
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        machine = Machine(name, directory, process, cable)
        self.machines.append(machine)
        return machine

    def _apart(
        self, number: int, command: list[str], hidden: Sequence[Path]
    ) -> tuple[list[str], str]:
        space, cable = f"{self.bridge}n{number}", f"{self.bridge}v{number}"
        inside = f"{self.bridge}e{number}"
        for line in (
            f"netns add {space}",
            f"link add {cable} type veth peer name {inside}",
            f"link set {cable} master {self.bridge} up",
            f"link set {inside} netns {space}",
            f"-n {space} addr add {self.subnet}.{10 + number}/24 dev {inside}",
            f"-n {space} link set {inside} up",
            f"-n {space} link set lo up",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        mounts = "".join(f"mount -t tmpfs none '{path}' && " for path in hidden)
        script = f'{mounts}exec "$@"'
        apart = ["ip", "netns", "exec", space, "unshare", "-m", "sh", "-c", script, "sh"]
        return [*apart, *command], cable

    def left(self) -> list[str]:
        """Processes of the cluster's programs that run now."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if str(self.directory) in process.environ().get("BENCH_CACHE", ""):
                    found.append(" ".join(process.cmdline())[:200])
        return found


@contextmanager
def cluster(directory: Path, client: Path) -> Iterator[Cluster]:
    """A cluster without machines yet, whose machines do not see the directory `client`.

    At the end nothing of it may run any more: what does is ended, and an error.
    """
    made = Cluster(directory, has_namespaces(), client)
    client.mkdir(parents=True, exist_ok=True)
    if made.isolated:
        subprocess.run(["ip", "link", "add", made.bridge, "type", "bridge"], check=True)
        subprocess.run(["ip", "addr", "add", f"{made.subnet}.1/24", "dev", made.bridge], check=True)
        subprocess.run(["ip", "link", "set", made.bridge, "up"], check=True)
    try:
        yield made
        for machine in reversed(made.machines):
            if machine.process.poll() is None:
                os.killpg(machine.process.pid, signal.SIGTERM)
        for machine in made.machines:
            assert machine.process.wait(timeout=PATIENCE_S) is not None
        wait_until("the end of all processes", lambda: not made.left(), 60)
    finally:
        for machine in made.machines:
            for process in machine.descendants():
                with suppress(psutil.Error):
                    process.kill()
            with suppress(ProcessLookupError):
                os.killpg(machine.process.pid, signal.SIGKILL)
            machine.process.wait()
        if made.isolated:
            for number in range(len(made.machines)):
                space = f"{made.bridge}n{number}"
                subprocess.run(["ip", "netns", "del", space], capture_output=True)
            subprocess.run(["ip", "link", "del", made.bridge], capture_output=True)


@contextmanager
def cluster_of_three(directory: Path) -> Iterator[Cluster]:
    """A scheduler and three workers that are ready; the client's directory is there, too."""
    with cluster(directory / "machines", directory / "client") as made:
        made.start_scheduler()
        for worker in [made.start_worker() for _ in range(3)]:
            made.started(worker)
        yield made


def client_of(made: Cluster) -> BenchRunner:
    """Benches on the client's machine."""
    return BenchRunner(made.client)
