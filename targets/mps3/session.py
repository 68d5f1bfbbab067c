"""A session with a board: load an image, boot, and listen to the firmware."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from bench.core.errors import BenchError
from targets.jobs.answers import Answers, Collector, JobAnswer
from targets.jobs.frames import FrameParser
from targets.mps3.batching import Load
from targets.mps3.card import Card, check_volume
from targets.mps3.console import Console
from targets.mps3.errors import BoardError, BoardUnavailableError, WrongBoardError
from targets.mps3.images_txt import JOB_WINDOW
from targets.mps3.log import BoardLog
from targets.mps3.ports import BoardPorts, Line
from targets.settings.mps3 import Mps3Settings

__all__ = ["Session"]

_SLICE = 0.02
#: Seconds between attempts to open ports that went away.
_REOPEN = 0.5
#: The part number in CPUID of a Corstone-300's processor.
_CORTEX_M55 = 0xD22
#: Seconds of the board's clock that the volume may take to come back after a boot or `usb_on`.
_VOLUME_WAIT = 30.0


class Session:
    """The board under a lease.

    `guard` raises when the lease is lost; it is called before everything that changes the board.
    """

    def __init__(
        self,
        ports: BoardPorts,
        settings: Mps3Settings,
        firmware: bytes,
        log: BoardLog,
        guard: Callable[[], None],
    ) -> None:
        self._ports = ports
        self._settings = settings
        self._firmware = firmware
        self._log = log
        self._guard = guard
        self._console: Console | None = None
        self._uart: Line | None = None
        self._running: Load | None = None
        self._boots = 0
        self._touched = False

    @property
    def running(self) -> Load | None:
        """What the device has booted, if that boot was complete."""
        return self._running

    @property
    def boots(self) -> int:
        """How often the board was told to boot."""
        return self._boots

    @property
    def can_cycle_power(self) -> bool:
        """Whether there is a power port."""
        return self._ports.power is not None

    def open(self) -> None:
        """Open both lines. If that is impossible, the board has not failed: it is unavailable.

        Raises `BoardUnavailableError`.
        """
        try:
            self._lines()
        except BoardError as error:
            raise BoardUnavailableError(error.what, cure=error.cure) from error

    def run(self, load: Load) -> Iterator[tuple[int, JobAnswer]]:
        """Boot with `load`; yields the index and answer of its device jobs as they arrive.

        Raises `CardError` if the card cannot take it, `BoardError` for everything that recovery may
        cure, and `WrongBoardError` for the wrong device.
        """
        self._running = None
        card = self._card()
        self._touched = True
        card.install(self._firmware, load.image)
        console, uart = self._lines()
        self._say("rebooting")
        self._boots += 1
        console.reboot()
        pending = bytearray()
        _drain(uart, self._log.uart)

        def hear() -> None:
            data = uart.read(0)
            self._log.uart(data)
            pending.extend(data)

        console.follow_boot(self._settings.boot_timeout_s, hear)
        self._log.step("the boot is complete")
        self._running = load
        yield from self._answers(load, bytes(pending))

    def reset(self, load: Load) -> Iterator[tuple[int, JobAnswer]]:
        """Like `run`, but restart the firmware with what is already in the device's memory."""
        console, uart = self._lines()
        self._say("resetting the device")
        _drain(uart, self._log.uart)
        console.command("reset")
        yield from self._answers(load, b"")

    def cycle_power(self) -> None:
        """Switch the board off and on, and wait until its boot ends or its time is over.

        Raises `BoardError` if the power cannot be switched.
        """
        power = self._ports.power
        if power is None:
            raise BoardError("there is no power port")
        self._running = None
        self._say("cycling the power")
        self._lines()
        power.cycle()
        end = time.monotonic() + self._settings.boot_timeout_s
        while (left := end - time.monotonic()) > 0:
            try:
                self._lines()[0].await_prompt(left)
                return
            except BoardError as error:
                # Some ports disappear with the power and come back.
                self._log.step(f"no prompt yet: {error.what}")
                self.reopen()
                time.sleep(_REOPEN)

    def reopen(self) -> None:
        """Close both lines; they are opened again when needed."""
        for line in (self._console, self._uart):
            if line is not None:
                with suppress(BenchError):
                    line.close()
        self._console = self._uart = None

    def restore(self) -> None:
        """Restore the card, if it was changed. Raises `CardError`, `BoardError`."""
        if self._touched:
            self._card().restore()

    def _say(self, text: str) -> None:
        self._guard()
        self._log.step(text)

    def _card(self) -> Card:
        volume = self._ports.volume()
        wait = _VOLUME_WAIT / (self._settings.virtual_speed or 1.0)
        if not _comes(volume.present, wait):
            self._say(f"{volume.describe()} is absent: usb_on")
            self._lines()[0].command("usb_on")
            volume = self._ports.volume()
            if not _comes(volume.present, wait):
                raise BoardError(
                    f"the volume {volume.describe()} does not come back",
                    cure="check that this machine mounts the board's drive by itself (automount)",
                )
        self._guard()
        folder = check_volume(volume, self._settings.application_note)
        return Card(volume, folder, self._say)

    def _lines(self) -> tuple[Console, Line]:
        if self._console is None:
            self._console = Console(self._ports.open_console(), self._settings.timings, self._log)
        if self._uart is None:
            self._uart = self._ports.open_uart()
        return self._console, self._uart

    def _answers(self, load: Load, heard: bytes) -> Iterator[tuple[int, JobAnswer]]:
        console, uart = self._lines()
        parser, collector = FrameParser(), Collector(data_limit=4 * JOB_WINDOW)
        last = time.monotonic()
        known = False
        data = heard
        while not collector.ended:
            for answer in collector.add(parser.feed(data)):
                if not known:
                    self._check_device(collector.finish())
                    known = True
                if load.names[answer.index : answer.index + 1] == (answer.name,):
                    yield answer.index, answer
                else:
                    self._log.step(f"an answer to another image was ignored: {answer.name}")
            if collector.ended:
                break
            data = uart.read(_SLICE)
            self._log.uart(data)
            console.poll()
            now = time.monotonic()
            if data:
                last = now
            elif now - last > self._settings.silence_s:
                raise BoardError(
                    f"UART0 is silent for {now - last:.0f} s, "
                    + _how_far(collector.finish(), len(load.names)),
                    cure="check that this is UART0 (interface 01 of the board's USB ports); if its "
                    "clock is not 25 MHz, set uart_divider",
                )
        answers = collector.finish()
        for problem in answers.problems:
            self._log.step(f"UART0: {problem}")
        if answers.errors:
            raise BoardError(answers.errors[0].sentence)
        if not known and answers.npu is not None:
            self._check_device(answers)
        if len(answers.jobs) < len(load.names):
            raise BoardError(
                f"{_how_far(answers, len(load.names))}: {'; '.join(answers.problems[:3])}"
            )

    def _check_device(self, answers: Answers) -> None:
        """Check that processor and NPU are those of the settings."""
        if answers.npu is not None and answers.npu.macs != self._settings.macs:
            raise WrongBoardError(
                f"the board's NPU has {answers.npu.macs} MACs/cc; targets.mps3.macs says "
                f"{self._settings.macs}, and the models were compiled for that",
                cure=f"set macs = {answers.npu.macs} in [targets.mps3], or load another bitfile",
            )
        if answers.hello is None:
            return
        part = answers.hello.cpuid >> 4 & 0xFFF
        virtual = self._settings.virtual_speed is not None
        if virtual != (part != _CORTEX_M55):
            raise WrongBoardError(
                f"the processor says it is part {part:#x}: "
                + ("a real Corstone-300" if virtual else "not a Cortex-M55, so not a Corstone-300"),
                cure="set virtual_speed in [targets.mps3] for the virtual board, and only for it; "
                "its figures are then labelled simulated",
            )


def _how_far(answers: Answers, wanted: int) -> str:
    started = "the firmware said hello, " if answers.hello else "the firmware never said hello, "
    return f"{started}{len(answers.jobs)} of {wanted} jobs were answered"


def _comes(present: Callable[[], bool], wait: float) -> bool:
    end = time.monotonic() + wait
    while not present():
        if time.monotonic() >= end:
            return False
        time.sleep(_SLICE)
    return True


def _drain(line: Line, log: Callable[[bytes], None]) -> None:
    while data := line.read(0):
        log(data)
