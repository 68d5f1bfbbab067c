"""The virtual MPS3 board as a process, and settings for it, for tests."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench.core.files import write_atomically
from targets.settings.mps3 import Mps3Settings
from targets.virtual.board.faults import FAULTS_FILE, Fault, FaultKind
from tests.support.bench_runs import ROOT

__all__ = ["Board", "at_next_boots", "boot_together", "virtual_board"]

#: The board's clock in tests. A boot takes seven seconds of it.
SPEED = 40.0
_START_SECONDS = 30


@dataclass(frozen=True)
class Board:
    """A virtual board that runs."""

    directory: Path
    pid: int
    macs: int
    speed: float

    @property
    def card(self) -> Path:
        """The SD card, whether the board shows it or not."""
        return self.directory / "sd"

    @property
    def images(self) -> Path:
        return self.card / "MB" / "HBI0309C" / "AN552" / "images.txt"

    def settings(self, **changes: object) -> Mps3Settings:
        """Settings that find it. Times that are not the board's suit a busy machine."""
        fields: dict[str, Any] = {
            "console": str(self.directory / "mcc"),
            "uart": str(self.directory / "uart0"),
            "volume": self.directory / "volume",
            "macs": self.macs,
            "virtual_speed": self.speed,
            "boot_timeout_s": 6,
            "silence_s": 4,
            "lease_wait_minutes": 1,
            "state_directory": self.directory / "state",
            "power_command": self.power_command,
        }
        return Mps3Settings(**{**fields, **changes})

    def table(self, **changes: object) -> str:
        """The same as a table of a configuration."""
        lines = ["[targets.mps3]"]
        values = self.settings(**changes).model_dump(mode="json", exclude_none=True)
        return "\n".join([*lines, *(f"{k} = {json.dumps(v)}" for k, v in values.items())]) + "\n"

    def pool_table(self, *boards: str, **changes: object) -> str:
        """What a pool has in common, as this board alone has it, and the tables of its `boards`."""
        alone: dict[str, Any] = {"console": "", "uart": "", "volume": None, "power_command": ()}
        common = self.table(**{**alone, "macs": 128, **changes})
        # A configuration may not say a list in two ways.
        kept = [line for line in common.splitlines() if not line.startswith("boards = ")]
        return "\n".join([*kept, *(f"[[targets.mps3.boards]]\n{board}" for board in boards), ""])

    def pool_member(self, name: str) -> str:
        """This board in a pool."""
        ports = {"console": "mcc", "uart": "uart0", "volume": "volume"}
        lines = [f"{k} = {json.dumps(str(self.directory / v))}" for k, v in ports.items()]
        return "\n".join([f'name = "{name}"', f"macs = {self.macs}", *lines])

    @property
    def power_command(self) -> tuple[str, ...]:
        return ("sh", "-c", f"kill -USR1 {self.pid}")

    def fail(self, *faults: Fault | FaultKind) -> None:
        """Let these faults happen from now on, once each if not said otherwise."""
        listed = [fault if isinstance(fault, Fault) else Fault(kind=fault) for fault in faults]
        text = json.dumps([fault.model_dump(mode="json") for fault in listed])
        write_atomically(self.directory / FAULTS_FILE, text.encode())
        time.sleep(0.1)

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """The board's own log."""
        lines = (self.directory / "log.jsonl").read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        return [event for event in found if kind in ("", event["event"])]


@contextmanager
def virtual_board(
    directory: Path, *, macs: int = 128, speed: float = SPEED, note: str = "AN552"
) -> Iterator[Board]:
    """A board that has booted once. Skips loudly without the package it needs."""
    if find_spec("unicorn") is None:
        pytest.skip("the package unicorn is missing: target mps3 NOT tested; run `make test`")
    if find_spec("serial") is None:
        pytest.skip("the package pyserial is missing: target mps3 NOT tested; run `make test`")
    command = [
        *(sys.executable, "-m", "targets.virtual.board", str(directory)),
        *("--speed", str(speed), "--macs", str(macs), "--note", note),
    ]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    board = Board(directory, process.pid, macs, speed)
    try:
        end = time.monotonic() + _START_SECONDS
        log = directory / "log.jsonl"
        while not log.exists() or not board.events("device_started"):
            assert process.poll() is None, f"{shlex.join(command)} ended with {process.returncode}"
            assert time.monotonic() < end, f"{shlex.join(command)} does not come up"
            time.sleep(0.05)
        time.sleep(2 / speed)
        yield board
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


@contextmanager
def at_next_boots(boards: Sequence[Board], act: Callable[[Board], None]) -> Iterator[None]:
    """Call `act` with each of `boards` as soon as it begins its next boot."""
    before = [len(board.events("boot")) for board in boards]
    over = threading.Event()

    def watch() -> None:
        waiting = dict(zip(boards, before, strict=True))
        while waiting and not over.wait(0.01):
            for board in [b for b, boots in waiting.items() if len(b.events("boot")) > boots]:
                del waiting[board]
                act(board)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def boot_together(*boards: Board) -> Iterator[None]:
    """Let no board go on with its next boot before all have begun theirs.

    Otherwise one that is ready early may do all the work of a pool.
    """
    held: list[Board] = []

    def hold(board: Board) -> None:
        os.kill(board.pid, signal.SIGSTOP)
        held.append(board)
        if len(held) == len(boards):
            release()

    def release() -> None:
        for board in held:
            os.kill(board.pid, signal.SIGCONT)

    try:
        with at_next_boots(boards, hold):
            yield
    finally:
        release()
