"""A labgrid coordinator and exporters of this machine, with virtual boards behind them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from targets.settings.mps3 import Mps3Settings
from tests.support.boards.virtual_board import Board

__all__ = ["PLACE", "Lab", "client", "labgrid_board", "labgrid_coordinator", "labgrid_lab"]

PLACE = "mps3"
_START_SECONDS = 60


@dataclass(frozen=True)
class Lab:
    """A coordinator with a place for each board."""

    address: str
    #: Of one place; settings may name others.
    environment: Path

    def create(self, place: str, *tags: str) -> None:
        """Make a place with `tags`, without resources."""
        client(self.address, "-p", place, "create")
        client(self.address, "-p", place, "set-tags", *tags)

    def acquired(self) -> list[str]:
        """The places that somebody has."""
        text = client(self.address, "-v", "places", "--acquired")
        return [line for line in text.splitlines() if line.startswith("Place ")]

    def reservations(self) -> str:
        """All reservations; empty if there are none."""
        return client(self.address, "reservations").strip()


@contextmanager
def labgrid_board(board: Board, directory: Path) -> Iterator[Mps3Settings]:
    """Settings that reach `board` through a coordinator only. Skips loudly without labgrid."""
    power = " ".join(["kill", "-USR1", str(board.pid)])
    with labgrid_lab([{PLACE: board}], directory, power=power) as lab:
        yield board.settings(
            console="",
            uart="",
            volume=None,
            power_command=(),
            labgrid_environment=lab.environment,
            labgrid_volume=str(board.directory / "volume"),
        )


@contextmanager
def labgrid_lab(
    hosts: Sequence[Mapping[str, Board]], directory: Path, *, power: str = ""
) -> Iterator[Lab]:
    """A coordinator with an exporter for each of `hosts`, which has boards by their places.

    Each place has the tags `board=mps3` and `macs`. Skips loudly without labgrid.
    """
    if shutil.which("ser2net") is None and not Path("/usr/sbin/ser2net").is_file():
        pytest.skip("ser2net is missing: boards behind labgrid NOT tested; apt install ser2net")
    boards = {place: board for host in hosts for place, board in host.items()}
    with ExitStack() as stack:
        lab = stack.enter_context(
            labgrid_coordinator(directory, place=next(iter(boards)), power=power)
        )
        for number, host in enumerate(hosts):
            exported = directory / f"exporter{number}.yaml"
            exported.write_text(_exported(host), encoding="utf-8")
            where = ("-c", lab.address, "-n", f"host{number}", "--hostname", "127.0.0.1")
            stack.enter_context(_started("exporter", directory, *where, str(exported)))
            for place in host:
                ports = 2 * f"host{number}/{place}/NetworkSerialPort\n"
                _until(lambda: client(lab.address, "resources"), ports)
        for place, board in boards.items():
            lab.create(place, "board=mps3", f"macs={board.macs}")
            client(lab.address, "-p", place, "add-match", f"*/{place}/*")
        yield lab


@contextmanager
def labgrid_coordinator(directory: Path, *, place: str = PLACE, power: str = "") -> Iterator[Lab]:
    """A coordinator without places, and an environment that names `place`.

    Skips loudly without labgrid.
    """
    if find_spec("labgrid") is None:
        pytest.skip("the package labgrid is missing: boards behind it NOT tested")
    address = f"127.0.0.1:{_free_port()}"
    directory.mkdir(parents=True)
    environment = directory / "labgrid.yaml"
    environment.write_text(_environment(place, address, power), encoding="utf-8")
    with _started("coordinator", directory, "-l", address):
        # An exporter that finds no coordinator gives up.
        _until(lambda: client(address, "places") or "none", "none")
        yield Lab(address, environment)


@contextmanager
def _started(module: str, directory: Path, *arguments: str) -> Iterator[None]:
    """A program of labgrid; the coordinator keeps its places in its working directory."""
    (directory / "state").mkdir(exist_ok=True)
    with (directory / f"{module}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"labgrid.remote.{module}", *arguments],
            cwd=directory / "state",
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            _end(process)


def client(address: str, *arguments: str, user: str = "somebody") -> str:
    """What labgrid's client says."""
    done = subprocess.run(
        [sys.executable, "-m", "labgrid.remote.client", "-x", address, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LG_USERNAME": user},
        check=False,
    )
    return done.stdout + done.stderr


def _environment(place: str, address: str, power: str) -> str:
    drivers = (
        f"    drivers:\n      ExternalPowerDriver:\n        cmd_on: 'true'\n"
        f"        cmd_off: 'true'\n        cmd_cycle: {power}\n"
    )
    return (
        f"targets:\n  main:\n    resources:\n      RemotePlace:\n        name: {place}\n"
        f"{drivers if power else ''}options:\n  coordinator_address: '{address}'\n"
    )


def _exported(host: Mapping[str, Board]) -> str:
    lines = []
    for place, board in host.items():
        lines.append(f"{place}:\n")
        for name in ("mcc", "uart0"):
            port = (board.directory / name).resolve()
            lines.append(
                f"  {name}:\n    cls: RawSerialPort\n    port: {port}\n    speed: 115200\n"
            )
    return "".join(lines)


def _until(say: Callable[[], str], wanted: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while wanted not in (text := say()):
        assert time.monotonic() < end, text
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
