"""The device of the virtual board: the virtual Corstone-300 in a process of its own.

It is a process because a reboot ends the program at any instruction.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import TargetError
from targets.firmware.elf import Program
from targets.virtual.board.card import LoadedImage
from targets.virtual.machine import Limits, Machine, Settings
from targets.virtual.semihosting import Semihosting
from targets.virtual.simulator_backend import SimulatorBackend
from targets.virtual.wire import UartFaults, Wire

__all__ = ["Device", "UartLine"]

_BITS_A_BYTE = 10
_BAUD = 115_200
#: Bytes sent at once; pauses between them keep the line's rate.
_CHUNK = 128
_PARENT_DEATH_SIGNAL = 1
_VECTOR_BYTES = 4


@dataclass(frozen=True)
class UartLine:
    """UART0's output: the master of a pseudo-terminal, at 115,200 baud times `speed`."""

    master: int
    speed: float

    def send(self, data: bytes) -> None:
        """Send at the line's rate. If nobody reads, the bytes are lost; it does not wait."""
        for start in range(0, len(data), _CHUNK):
            piece = data[start : start + _CHUNK]
            time.sleep(len(piece) * _BITS_A_BYTE / _BAUD / self.speed)
            while piece:
                if not select.select([], [self.master], [], 5.0)[1]:
                    return
                piece = piece[os.write(self.master, piece) :]


class Device:
    """Starts and ends the process."""

    def __init__(self, line: UartLine, log: Path) -> None:
        self._line = line
        self._log = log
        self._process: int | None = None

    def start(
        self, images: Sequence[LoadedImage], settings: Settings, faults: UartFaults | None
    ) -> None:
        """Run the firmware among `images`. With `faults` None, UART0 stays silent."""
        self.halt()
        child = os.fork()
        if child == 0:
            _become_device(lambda: _run(images, settings, faults, self._line), self._log)
        self._process = child

    def halt(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = None


def _become_device(run: Callable[[], None], log: Path) -> None:
    """The main function of the forked process; never returns."""
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        run()
        status = 0
    except TargetError as error:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{error}\n")
    except BaseException as error:
        sys.stderr.write(f"virtual board's device: {type(error).__name__}: {error}\n")
        raise
    finally:
        os._exit(status)


def _run(
    images: Sequence[LoadedImage], settings: Settings, faults: UartFaults | None, line: UartLine
) -> None:
    pending = bytearray()

    def output(data: bytes) -> None:
        pending.extend(data)
        if len(pending) >= _CHUNK or data == b"\n":
            flush()

    def flush() -> None:
        if faults is not None:
            line.send(bytes(pending))
        pending.clear()

    def nothing() -> None:
        """UART0 cannot stop a board."""

    wire = Wire(output, nothing, nothing, faults or UartFaults(), on_eot=False, tag=b"")
    # No debugger is attached, so a semihosting call locks up the processor.
    semihosting = Semihosting(lambda _: None, Path("/"), enabled=False)
    machine = Machine(settings, SimulatorBackend(), wire, semihosting)
    for image in images:
        machine.load_code(image.device_address, image.data)
    entry = int.from_bytes(machine.memory.read(_VECTOR_BYTES, 4), "little")
    machine.load_program(Program(entry, ()))
    # The firmware's last instruction waits forever; the simulated time has passed by then.
    machine.run(Limits(simulated_seconds=1e9))
    flush()
