"""The virtual MPS3 board: `python -m targets.virtual.board DIRECTORY`.

A process with the board's habits. It has two pseudo-terminals (`DIRECTORY/mcc`,
`DIRECTORY/uart0`), a directory as the SD card (`DIRECTORY/sd`, which the host sees as
`DIRECTORY/volume` while the board offers it), an MCC, and the virtual Corstone-300, which runs the
images that the card names. SIGUSR1 cycles the power. `board.json` appears when the board is ready;
`log.jsonl` says what happened; `faults.json` (see `faults`) injects faults.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import select
import signal
import sys
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from bench.core.errors import BenchError
from bench.core.files import replace_symlink, write_atomically
from targets.ethos_u55.accelerators import MAC_COUNTS
from targets.virtual.board.card import LoadedImage, card_state, images_file, load_images, make_card
from targets.virtual.board.device import Device, UartLine
from targets.virtual.board.faults import FaultKind, Faults
from targets.virtual.board.mcc import Habits, Mcc
from targets.virtual.machine import Settings
from targets.virtual.wire import UartFaults

__all__ = ["VirtualBoard", "main"]

_READ = 4096
#: Seconds between two checks of the card, of the board's clock and at least of the real one.
_LOOK = 0.05
_LOOK_LEAST = 0.003


class VirtualBoard:
    """One board in `directory`. Its clock runs `speed` times faster than a real board's."""

    def __init__(self, directory: Path, *, speed: float, macs: int, note: str) -> None:
        self._directory = directory
        self._speed = speed
        self._settings = Settings(macs=macs)
        self._card = directory / "sd"
        self._faults = Faults(directory)
        self._log = directory / "log.jsonl"
        self._began = time.monotonic()
        self._images: list[LoadedImage] = []
        self._power_requested = False
        self._stopping = False
        (directory / "debug_drive").mkdir(parents=True, exist_ok=True)
        (directory / "debug_drive" / "MBED.HTM").write_text("the other drive\n", encoding="utf-8")
        make_card(self._card, note)
        self._console, console_name = _terminal(directory / "mcc")
        uart, uart_name = _terminal(directory / "uart0")
        self._line = UartLine(uart, speed)
        self._device = Device(self._line, directory / "device.log")
        self._mcc = Mcc(self, self._faults, Habits())
        self._description = {"pid": os.getpid(), "mcc": console_name, "uart0": uart_name}

    # The port `Hardware` of the MCC.

    def send(self, data: bytes) -> None:
        """Write to the console, unless nobody reads it."""
        if select.select([], [self._console], [], 0)[1]:
            os.write(self._console, data)

    def noise(self, data: bytes) -> None:
        """Write to UART0."""
        self._line.send(data)

    def show_volume(self, shown: bool) -> None:
        """The volume is a symbolic link: to the card, to the debug drive, or absent."""
        volume = self._directory / "volume"
        if not shown:
            volume.unlink(missing_ok=True)
            return
        wrong = self._faults.due(FaultKind.WRONG_VOLUME) is not None
        replace_symlink(volume, "debug_drive" if wrong else "sd")

    def images_file(self) -> str:
        """The images.txt of the chosen application note."""
        return images_file(self._card)

    def read_images(self) -> list[LoadedImage]:
        """What the card asks for."""
        return load_images(self._card)

    def start(self, images: list[LoadedImage]) -> None:
        """Run the device with these."""
        self._images = images
        loaded = {image.file: len(image.data) for image in images}
        self.note("device_started", images=loaded)
        self._run_device()

    def restart(self) -> None:
        """Run the device again with what was loaded last."""
        self.note("reset")
        if self._images:
            self._run_device()

    def halt(self) -> None:
        """Stop the device."""
        self._images = []
        self._device.halt()

    def note(self, event: str, **details: object) -> None:
        """A line in the board's log, stamped with the board's clock."""
        line = json.dumps({"time": round(self._now, 3), "event": event, **details})
        with self._log.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    @property
    def _now(self) -> float:
        return (time.monotonic() - self._began) * self._speed

    def _run_device(self) -> None:
        take = self._faults.take
        macs, hang = take(FaultKind.MACS), take(FaultKind.NPU_HANG)
        settings = replace(
            self._settings,
            macs=macs.at if macs else self._settings.macs,
            npu_hangs=hang is not None,
        )
        silent = take(FaultKind.UART_SILENCE)
        cut, lose, flip = (
            take(kind) for kind in (FaultKind.UART_CUT, FaultKind.UART_LOSE, FaultKind.UART_FLIP)
        )
        faults = UartFaults(
            truncate=cut.at if cut else 0, lose=lose.at if lose else 0, flip=flip.at if flip else 0
        )
        self._device.start(self._images, settings, None if silent else faults)

    def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        with self._signals():
            self._faults.refresh()
            self._mcc.power_on(self._now)
            write_atomically(self._directory / "board.json", json.dumps(self._description))
            try:
                self._loop()
            finally:
                self._device.halt()
                (self._directory / "board.json").unlink(missing_ok=True)
                (self._directory / "volume").unlink(missing_ok=True)

    def _loop(self) -> None:
        state = card_state(self._card)
        gap = Habits().character_gap / self._speed
        next_look, last_turn = 0.0, time.monotonic()
        while not self._stopping:
            arrived = select.select([self._console], [], [], gap / 4)[0]
            turn = time.monotonic()
            # If this process was away for long, nobody can say how close characters came.
            measurable = turn - last_turn < gap
            last_turn = turn
            if arrived:
                data = os.read(self._console, _READ)
                self._mcc.receive(data, self._now, measurable=measurable)
            if turn >= next_look:
                next_look = turn + max(_LOOK / self._speed, _LOOK_LEAST)
                self._faults.refresh()
                found = card_state(self._card)
                if found != state:
                    state = found
                    self._mcc.card_changed(self._now)
            self._mcc.tick(self._now)
            if self._power_requested:
                self._power_requested = False
                self._faults.take(FaultKind.WRONG_VOLUME)
                self._mcc.power_on(self._now)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self._stopping = True

        def power(number: int, frame: FrameType | None) -> None:
            self._power_requested = True

        before = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGTERM, stop),
                (signal.SIGINT, stop),
                (signal.SIGUSR1, power),
            )
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _terminal(link: Path) -> tuple[int, str]:
    """A pseudo-terminal under the name `link`: its master, and its real name."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    # The slave stays open here, so a host that closes its end causes no hang-up.
    name = os.ttyname(slave)
    replace_symlink(link, name)
    return master, name


def main(arguments: Sequence[str]) -> int:
    """The program. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="targets.virtual.board", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--speed", type=float, default=1.0, help="speed of the clock, relative to a real board"
    )
    parser.add_argument("--macs", type=int, choices=MAC_COUNTS, default=128)
    parser.add_argument("--note", choices=("AN552", "AN547"), default="AN552")
    options = parser.parse_args(arguments)
    if not 0 < options.speed <= 1000:
        parser.error("--speed must be above 0 and at most 1000")
    options.directory.mkdir(parents=True, exist_ok=True)
    try:
        VirtualBoard(
            options.directory.resolve(), speed=options.speed, macs=options.macs, note=options.note
        ).run()
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
