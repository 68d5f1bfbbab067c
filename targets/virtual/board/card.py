r"""The virtual board's SD card: its layout, and the MCC's way of reading it.

It deliberately shares nothing with `targets.mps3`, whose files it checks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench.core.units import MIB
from targets.jobs.memory import SECURE_ALIAS

__all__ = [
    "BOARD",
    "CardError",
    "LoadedImage",
    "card_state",
    "images_file",
    "load_images",
    "make_card",
]

BOARD = "HBI0309C"
_IMAGES_MAX = 32
#: MCC address -> device address, and the bytes up to the next entry or the end of the memory.
_WINDOWS = (
    (0x0000_0000, 0x0000_0000, 512 << 10),
    (0x0200_0000, 0x0100_0000, MIB),
    (0x0800_0000, 0x6000_0000, 64 * MIB),
    (0x0C00_0000, 0x6000_0000 + SECURE_ALIAS, 64 * MIB),
)
_SHORT_NAME = re.compile(r"[A-Za-z0-9_$~!#%&'()@^`{}-]{1,8}(\.[A-Za-z0-9_$~!#%&'()@^`{}-]{1,3})?")

_FILES = {
    "config.txt": "TITLE: Virtual MPS3\r\n[CONFIGURATION]\r\nUSB_REMOTE: FALSE\r\n",
    f"MB/{BOARD}/mbb_v151.ebf": "not a real MCC firmware; nobody may touch it\r\n",
}
_BOARD_TXT = (
    "BOARD: {board}\r\n[APPLICATION NOTE]\r\nAPPFILE: {note}\\{note_lower}_v1.txt ; chosen\r\n"
)
_IMAGES_TXT = (
    "TITLE: Images of whoever had the board before\r\n\r\n[IMAGES]\r\nTOTALIMAGES: 1 ;Max: 32\r\n"
    "IMAGE0ADDRESS: 0x00000000\r\nIMAGE0UPDATE: AUTO\r\nIMAGE0FILE: \\SOFTWARE\\selftest.bin\r\n"
)


class CardError(Exception):
    """The MCC cannot use the card; it prints the text of this error."""


@dataclass(frozen=True)
class LoadedImage:
    """An image as the MCC loads it."""

    #: As in images.txt.
    file: str
    mcc_address: int
    device_address: int
    data: bytes


def make_card(root: Path, note: str) -> None:
    r"""Fill `root` as the card of a board that runs application note `note` is delivered."""
    for name, text in _FILES.items():
        _put(root / name, text)
    folder = root / "MB" / BOARD
    _put(folder / "board.txt", _BOARD_TXT.format(board=BOARD, note=note, note_lower=note.lower()))
    _put(folder / note / f"{note.lower()}_v1.txt", "TITLE: bitfile configuration\r\n")
    _put(folder / note / f"{note.lower()}_v1.bit", "no bitfile: the FPGA is in software\r\n")
    _put(folder / note / "images.txt", _IMAGES_TXT)
    _put(root / "SOFTWARE" / "selftest.bin", "\0" * 64)


def _put(path: Path, text: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def card_state(root: Path) -> tuple[object, ...]:
    """A digest that changes whenever anything on the card changes."""
    try:
        entries = sorted(root.rglob("*"))
        return tuple(
            (str(path), s.st_size, s.st_mtime_ns) for path in entries for s in [path.stat()]
        )
    except OSError:
        # Something is being renamed or removed, which is a change.
        return (object(),)


def images_file(root: Path) -> str:
    """The images.txt of the application note that board.txt chooses, as the MCC names it."""
    text = _text(root, f"\\MB\\{BOARD}\\board.txt")
    chosen = _values(text).get("APPFILE")
    if chosen is None:
        raise CardError("board.txt has no APPFILE")
    return f"\\MB\\{BOARD}\\{chosen.split(chr(92))[0]}\\images.txt"


def load_images(root: Path) -> list[LoadedImage]:
    """The images that images.txt names. Raises `CardError`."""
    values = _values(_text(root, images_file(root)))
    try:
        total = int(values["TOTALIMAGES"])
    except (KeyError, ValueError):
        raise CardError("images.txt has no TOTALIMAGES") from None
    if not 0 <= total <= _IMAGES_MAX:
        raise CardError(f"{total} images, at most {_IMAGES_MAX} are possible")
    return [_image(root, values, index) for index in range(total)]


def _image(root: Path, values: dict[str, str], index: int) -> LoadedImage:
    try:
        update = values[f"IMAGE{index}UPDATE"].upper()
        address = int(values[f"IMAGE{index}ADDRESS"], 16)
        file = values[f"IMAGE{index}FILE"]
    except (KeyError, ValueError):
        raise CardError(f"image {index} is not described") from None
    if update not in ("AUTO", "FORCE"):
        raise CardError(f"image {index}: UPDATE is {update}")
    data = _bytes(root, file)
    for start, device, size in _WINDOWS:
        if start <= address < start + size:
            if address + len(data) > start + size:
                raise CardError(f"{file} does not fit at {address:#010x}")
            return LoadedImage(file, address, device + address - start, data)
    raise CardError(f"no memory at {address:#010x}")


def _values(text: str) -> dict[str, str]:
    """`KEY: value ; comment` lines, keys in upper case."""
    values = {}
    for line in text.splitlines():
        key, colon, value = line.partition(";")[0].partition(":")
        if colon:
            values[key.strip().upper()] = value.strip()
    return values


def _text(root: Path, name: str) -> str:
    return _bytes(root, name).decode("ascii", "replace")


def _bytes(root: Path, name: str) -> bytes:
    parts = [part for part in name.split("\\") if part]
    for part in parts:
        if not _SHORT_NAME.fullmatch(part):
            raise CardError(f"{name} is not a name of 8.3 characters")
    path = root
    for part in parts:
        found = (
            [p for p in path.iterdir() if p.name.upper() == part.upper()] if path.is_dir() else []
        )
        if not found:
            raise CardError(f"cannot open {name}")
        path = found[0]
    try:
        return path.read_bytes()
    except OSError as error:
        raise CardError(f"cannot read {name}: {error}") from error
