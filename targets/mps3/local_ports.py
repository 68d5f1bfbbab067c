"""The ports of a board attached to this machine."""

from __future__ import annotations

import re
from pathlib import Path

from targets.mps3.directory_volume import DirectoryVolume
from targets.mps3.discovery import LABELS, find_board, find_volume, stable_name
from targets.mps3.errors import BoardUnavailableError
from targets.mps3.ports import Line, Power, Volume
from targets.mps3.power import CommandPower
from targets.mps3.serial_line import SerialLine
from targets.settings.mps3 import Mps3Settings

__all__ = ["LocalPorts"]


class LocalPorts:
    """The port `BoardPorts` for a console, a UART and a mounted card on this machine."""

    def __init__(self, settings: Mps3Settings) -> None:
        """Find the board. Raises `BoardUnavailableError`."""
        self._settings = settings
        self._found = find_board(settings)
        for address in (self._found.console, self._found.uart):
            if "://" not in address and not Path(address).exists():
                raise BoardUnavailableError(
                    f"there is no serial port {address}",
                    cure="switch the board on, or correct console and uart in [targets.mps3]",
                )

    @property
    def key(self) -> str:
        """From the console's name, because every user of the board must open it."""
        console = self._found.console
        name = console if "://" in console else str(stable_name(Path(console)))
        return re.sub(r"[^A-Za-z0-9]+", "-", name.removeprefix("/dev/")).strip("-")

    @property
    def power(self) -> Power | None:
        """The configured command."""
        command = self._settings.power_command
        return CommandPower(command) if command else None

    def open_console(self) -> Line:
        """Interface 00."""
        return SerialLine(self._found.console)

    def open_uart(self) -> Line:
        """Interface 01."""
        return SerialLine(self._found.uart)

    def volume(self) -> Volume:
        """Where it is mounted now; after a boot this may change."""
        place = self._settings.volume or find_volume()
        return DirectoryVolume(place or Path("/dev/disk/by-label") / LABELS[0] / "(not mounted)")

    def close(self) -> None:
        """Nothing to release: nothing is held between openings."""
