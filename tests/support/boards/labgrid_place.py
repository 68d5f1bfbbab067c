"""A labgrid coordinator and exporter of this machine, with the virtual board behind them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from targets.settings.mps3 import Mps3Settings
from tests.support.boards.virtual_board import Board

__all__ = ["PLACE", "client", "labgrid_board"]

PLACE = "mps3"
_START_SECONDS = 60


@contextmanager
def labgrid_board(board: Board, directory: Path) -> Iterator[Mps3Settings]:
    """Settings that reach `board` through a coordinator only. Skips loudly without labgrid."""
    if find_spec("labgrid") is None:
        pytest.skip("the package labgrid is missing: boards behind it NOT tested")
    if shutil.which("ser2net") is None and not Path("/usr/sbin/ser2net").is_file():
        pytest.skip("ser2net is missing: boards behind labgrid NOT tested; apt install ser2net")
    address = f"127.0.0.1:{_free_port()}"
    (directory / "coordinator").mkdir(parents=True)
    exported = directory / "exporter.yaml"
    exported.write_text(
        "".join(
            f"{'board:' if name == 'mcc' else ''}\n  {name}:\n    cls: RawSerialPort\n"
            f"    port: {(board.directory / name).resolve()}\n    speed: 115200\n"
            for name in ("mcc", "uart0")
        ),
        encoding="utf-8",
    )
    environment = directory / "labgrid.yaml"
    command = " ".join(["kill", "-USR1", str(board.pid)])
    environment.write_text(
        f"targets:\n  main:\n    resources:\n      RemotePlace:\n        name: {PLACE}\n"
        f"    drivers:\n      ExternalPowerDriver:\n        cmd_on: 'true'\n"
        f"        cmd_off: 'true'\n        cmd_cycle: {command}\n"
        f"options:\n  coordinator_address: '{address}'\n",
        encoding="utf-8",
    )
    with ExitStack() as stack:

        def start(module: str, *arguments: str) -> None:
            log = stack.enter_context((directory / f"{module}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", f"labgrid.remote.{module}", *arguments],
                cwd=directory / "coordinator",
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(_end, process)

        start("coordinator", "-l", address)
        # An exporter that finds no coordinator gives up.
        _until(lambda: client(address, "places") or "none", "none")
        start("exporter", "-c", address, "-n", "here", "--hostname", "127.0.0.1", str(exported))
        _until(lambda: client(address, "resources"), 2 * "here/board/NetworkSerialPort\n")
        client(address, "-p", PLACE, "create")
        client(address, "-p", PLACE, "add-match", "*/board/*")
        yield board.settings(
            console="",
            uart="",
            volume=None,
            power_command=(),
            labgrid_environment=environment,
            labgrid_volume=str(board.directory / "volume"),
        )


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
