"""Finding the board: its serial ports by USB ids, its SD card by label."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from targets.mps3.errors import BoardUnavailableError
from targets.settings.mps3 import Mps3Settings

__all__ = [
    "LABELS",
    "Found",
    "SerialPort",
    "find_board",
    "find_volume",
    "serial_ports",
    "stable_name",
]

#: The USB ids of the board's FT4232H, and its interfaces' numbers.
_VENDOR, _PRODUCT = "0403", "6011"
_CONSOLE, _UART0 = 0, 1
#: Known labels of the SD card. The debug drive is labelled MBED MPS3.
LABELS = ("V2M-MPS3", "V2MMPS3", "V2M_MPS3", "V2M_MPS")
_ESCAPE = re.compile(r"\\([0-7]{3})|\\x([0-9a-fA-F]{2})")
_ROOT = Path("/")


@dataclass(frozen=True)
class SerialPort:
    """One interface of an FT4232H."""

    device: Path
    serial_number: str
    interface: int


@dataclass(frozen=True)
class Found:
    """Where a board's parts are. `volume` None means that the card is not mounted now."""

    console: str
    uart: str
    volume: Path | None


def find_board(settings: Mps3Settings, root: Path = _ROOT) -> Found:
    """The board of `settings`: as configured, or the only one attached.

    `root` is where `/sys`, `/dev` and `/proc` are. Raises `BoardUnavailableError` when there is no
    board, or when there are several and none was chosen.
    """
    if settings.console:
        return Found(settings.console, settings.uart, settings.volume)
    ports = [
        port for port in serial_ports(root) if settings.serial_number in ("", port.serial_number)
    ]
    boards = sorted({port.serial_number for port in ports})
    if not boards:
        chosen = f" with serial number {settings.serial_number}" if settings.serial_number else ""
        raise BoardUnavailableError(
            f"no MPS3 board{chosen} is attached: no USB device {_VENDOR}:{_PRODUCT} (FT4232H)",
            cure="attach its USB and switch it on, or set console, uart and volume in "
            "[targets.mps3]",
        )
    if len(boards) > 1:
        raise BoardUnavailableError(
            f"several boards are attached: {', '.join(boards)}",
            cure="choose one: serial_number in [targets.mps3] (and volume, as their labels are "
            "the same)",
        )
    by_interface = {port.interface: str(port.device) for port in ports}
    if _CONSOLE not in by_interface or _UART0 not in by_interface:
        raise BoardUnavailableError(
            f"the board shows the serial interfaces {sorted(by_interface)}; 0 and 1 are needed",
            cure="check that the driver ftdi_sio has all four",
        )
    volume = settings.volume or find_volume(root)
    return Found(by_interface[_CONSOLE], by_interface[_UART0], volume)


def serial_ports(root: Path = _ROOT) -> list[SerialPort]:
    """The serial ports of all FT4232H, by their permanent names."""
    ports = []
    for entry in sorted((root / "sys/class/tty").glob("ttyUSB*")):
        interface = next(_upwards(entry / "device", "bInterfaceNumber"), None)
        device = next(_upwards(entry / "device", "idVendor"), None)
        if interface is None or device is None:
            continue
        if (_text(device / "idVendor"), _text(device / "idProduct")) != (_VENDOR, _PRODUCT):
            continue
        ports.append(
            SerialPort(
                stable_name(root / "dev" / entry.name, root),
                _text(device / "serial"),
                int(_text(interface / "bInterfaceNumber"), 16),
            )
        )
    return ports


def stable_name(device: Path, root: Path = _ROOT) -> Path:
    """The permanent link in `/dev/serial/by-id` to `device`; without one, the device itself."""
    real = device.resolve()
    by_id = root / "dev/serial/by-id"
    links = sorted(by_id.iterdir()) if by_id.is_dir() else []
    return next((link for link in links if link.resolve() == real), real)


def find_volume(root: Path = _ROOT) -> Path | None:
    """Where the SD card is mounted; None if it is not.

    Raises `BoardUnavailableError` when several are.
    """
    labelled = root / "dev/disk/by-label"
    links = sorted(labelled.iterdir()) if labelled.is_dir() else []
    devices = {link.resolve() for link in links if _decoded(link.name) in LABELS}
    found = []
    for line in _text(root / "proc/mounts").splitlines():
        source, place, *_ = line.split(" ")
        where = Path(_decoded(place))
        # Without udev's labels, the directory of an automounter still has the label as its name.
        if Path(source).resolve() in devices or where.name in LABELS:
            found.append(where)
    if len(set(found)) > 1:
        raise BoardUnavailableError(
            f"several SD cards are mounted: {', '.join(map(str, found))}",
            cure="choose one: volume in [targets.mps3]",
        )
    return found[0] if found else None


def _upwards(start: Path, name: str) -> Iterator[Path]:
    """The directories from `start` up to the root that hold a file `name`."""
    place = start.resolve()
    for directory in (place, *place.parents):
        if (directory / name).is_file():
            yield directory


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _decoded(text: str) -> str:
    r"""Replace `\040` (from /proc/mounts) and `\x20` (from udev) by their characters."""
    return _ESCAPE.sub(lambda m: chr(int(m[1], 8) if m[1] else int(m[2], 16)), text)
