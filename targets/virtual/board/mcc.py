"""The virtual board's motherboard controller: its console, its habits, its boot.

A state machine that is given what arrives and what time it is. It opens no port and starts no
device itself. Times are seconds of the board's own clock. The habits are those observed on MPS3
boards (docs/board.md names them). The wording, except for the lines quoted there, is our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from targets.virtual.board.card import BOARD, CardError, LoadedImage
from targets.virtual.board.faults import GARBAGE, FaultKind, Faults

__all__ = ["Habits", "Hardware", "Mcc"]

PROMPT = b"\r\nCmd> "
_BANNER = b"Virtual board of the Ethos-U55 regression bench; not an Arm product\r\n"


@dataclass(frozen=True)
class Habits:
    """The MCC's times, in seconds."""

    #: A character that comes sooner after the last one is lost.
    character_gap: float = 0.050
    #: For this long after a change, the card is being written and `reboot` is ignored.
    write_settles: float = 3.0
    #: For this long after a change of the card, a bare CR gives no prompt.
    busy_after_write: float = 8.0
    boot_step: float = 1.0
    auto_boot_wait: float = 2.0
    #: Bytes per second from the card into the device.
    load_rate: float = 4e6


class Hardware(Protocol):
    """What the MCC controls."""

    def send(self, data: bytes) -> None:
        """Write to the console."""
        ...

    def noise(self, data: bytes) -> None:
        """Write to UART0."""
        ...

    def show_volume(self, shown: bool) -> None:
        """Offer the card to the host, or withdraw it."""
        ...

    def images_file(self) -> str:
        """The images.txt that board.txt chooses; raises `CardError`."""
        ...

    def read_images(self) -> list[LoadedImage]:
        """The images that images.txt names; raises `CardError`."""
        ...

    def start(self, images: list[LoadedImage]) -> None:
        """Run the device with these in its memory; end what ran before."""
        ...

    def restart(self) -> None:
        """Run the device again with what was loaded last."""
        ...

    def halt(self) -> None:
        """Stop the device."""
        ...

    def note(self, event: str, **details: object) -> None:
        """Write to the board's own log."""
        ...


class _State(Enum):
    OFF = "off"
    BOOTING = "booting"
    READY = "ready"
    DEAD = "dead"


class Mcc:
    """The controller. `tick` lets time pass, `receive` takes what was typed."""

    def __init__(self, hardware: Hardware, faults: Faults, habits: Habits) -> None:
        self._hardware = hardware
        self._faults = faults
        self._habits = habits
        self._state = _State.OFF
        self._line = b""
        self._typed = 0
        self._last_character = -1e9
        self._card_changed = -1e9
        self._script: Iterator[float] = iter(())
        self._next_step = 0.0
        self._stoppable = False

    def power_on(self, now: float) -> None:
        """The power was switched on: boot."""
        self._state = _State.OFF
        self._hardware.halt()
        self._hardware.note("power")
        self._faults.take(FaultKind.MCC_SILENT)
        self._boot(now)

    def card_changed(self, now: float) -> None:
        """The host wrote to the card."""
        self._card_changed = now
        if self._faults.take(FaultKind.VOLUME_VANISHES):
            self._hardware.note("volume_vanished")
            self._hardware.show_volume(False)

    def tick(self, now: float) -> None:
        """Let time pass up to `now`."""
        while self._state is _State.BOOTING and now >= self._next_step:
            delay = next(self._script, None)
            if delay is None:
                return
            self._next_step += delay

    def receive(self, data: bytes, now: float, *, measurable: bool) -> None:
        """Take characters that arrived together.

        With `measurable` False it is unknown how close they were, so none is lost.
        """
        for byte in data:
            gap = now - self._last_character
            # If one was read late, it is unknown how close the next one is.
            self._last_character = now if measurable else -1e9
            if measurable and gap < self._habits.character_gap:
                self._hardware.note("character_lost", character=chr(byte), gap=round(gap, 4))
                continue
            self._character(byte, now)

    def _character(self, byte: int, now: float) -> None:
        if self._state is not _State.READY:
            self._disturb(byte)
            return
        if self._faults.due(FaultKind.MCC_SILENT):
            return
        self._typed += 1
        drop = self._faults.due(FaultKind.MCC_DROP)
        if drop is not None and drop.at == self._typed:
            self._faults.take(FaultKind.MCC_DROP)
            return
        repeat = self._faults.due(FaultKind.MCC_REPEAT)
        times = 1
        if repeat is not None and repeat.at == self._typed:
            self._faults.take(FaultKind.MCC_REPEAT)
            times = 2
        for _ in range(times):
            if byte == ord("\r"):
                self._enter(now)
            elif byte != ord("\n"):
                self._line += bytes([byte])
                self._hardware.send(bytes([byte]))

    def _disturb(self, byte: int) -> None:
        """Characters typed while there is no prompt."""
        if self._state is not _State.BOOTING:
            return
        self._hardware.note("typed_during_boot", character=chr(byte))
        if self._stoppable and byte == ord("\r"):
            self._hardware.send(b"\r\nAuto boot stopped.\r\n" + PROMPT)
            self._state = _State.READY

    def _enter(self, now: float) -> None:
        command = self._line.strip().lower().decode("ascii", "replace")
        self._line, self._typed = b"", 0
        send = self._hardware.send
        if command:
            self._hardware.note("command", command=command)
        if command == "":
            busy = now - self._card_changed < self._habits.busy_after_write
            send(b"\r\n" if busy else PROMPT)
        elif command == "reboot":
            writing = now - self._card_changed < self._habits.write_settles
            if writing or self._faults.take(FaultKind.REBOOT_IGNORED):
                self._hardware.note("reboot_ignored", writing=writing)
                send(b"\r\n")
                return
            send(b"\r\nRebooting...\r\n")
            self._hardware.halt()
            self._boot(now)
        elif command == "reset":
            send(b"\r\nResetting...\r\n" + PROMPT)
            self._hardware.restart()
        elif command == "usb_on":
            self._hardware.show_volume(True)
            send(b"\r\nUSB enabled\r\n" + PROMPT)
        else:
            send(b"\r\nUnknown command" + PROMPT)

    def _boot(self, now: float) -> None:
        self._line, self._typed = b"", 0
        self._state = _State.BOOTING
        self._next_step = now
        self._script = self._booting()

    def _booting(self) -> Iterator[float]:
        """The boot, step by step; yields the seconds until the next."""
        hardware, habits = self._hardware, self._habits
        hardware.note("boot")
        hardware.show_volume(False)
        yield habits.boot_step
        if self._faults.take(FaultKind.BOOT_GARBAGE):
            hardware.send(GARBAGE)
            hardware.noise(GARBAGE)
        hardware.send(b"\r\nARM V2M-MPS3 Firmware v1.5.1\r\n" + _BANNER)
        yield habits.boot_step
        hardware.show_volume(True)
        if self._faults.take(FaultKind.BOOT_HANG):
            self._state = _State.DEAD
            hardware.note("boot_hung")
            return
        hardware.send(b"Press Enter to stop auto boot...\r\n")
        self._stoppable = True
        yield habits.auto_boot_wait
        self._stoppable = False
        hardware.send(f"Reading Board File \\MB\\{BOARD}\\board.txt\r\n".encode())
        yield habits.boot_step
        try:
            yield from self._loading()
        except CardError as error:
            hardware.note("card_error", text=str(error))
            hardware.send(f"ERROR: {error}\r\n".encode() + PROMPT)
        self._state = _State.READY

    def _loading(self) -> Iterator[float]:
        hardware = self._hardware
        hardware.send(f"Reading images file {hardware.images_file()}\r\n".encode())
        images = hardware.read_images()
        yield self._habits.boot_step
        for image in images:
            if self._faults.take(FaultKind.BOOT_INCOMPLETE):
                raise CardError("the FPGA was not configured")
            line = f"Writing File {image.file} to Address 0x{image.mcc_address:08x}\r\n"
            hardware.send(line.encode())
            yield len(image.data) / self._habits.load_rate
        hardware.start(images)
        hardware.send(b"FPGA configuration complete.\r\n")
        yield self._habits.boot_step / 2
        hardware.send(PROMPT)
