r"""The contents of the SD card: whether it is the right drive, and transactions on it.

One file, `images.txt`, decides what the card loads, and one rename replaces it. Before that, all
files that it names are complete, under names of their own. The files that the old one named are
removed afterwards. So the card is either old or new, whenever the bench is killed. `BENCHOLD.TXT`
next to it is the journal: while `images.txt` is the bench's, it holds the file to restore.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from targets.mps3.errors import BoardError, CardError
from targets.mps3.images_txt import (
    FIRMWARE_ADDRESS,
    JOB_ADDRESS,
    CardImage,
    files_of,
    is_ours,
    render,
)
from targets.mps3.ports import Volume

__all__ = ["Card", "check_volume"]

_SOFTWARE = "SOFTWARE"
_BACKUP = "BENCHOLD.TXT"
_TEMPORARY = "BENCHNEW.TXT"
#: The bench's own files: F(irmware) or J(ob), and the number of the generation.
_OURS = re.compile(r"BENCH([FJ])(\d\d)\.BIN", re.IGNORECASE)
_GENERATIONS = 100
#: Space that stays free for FAT tables, directories and the MCC's log.
_MARGIN = 1 << 20
_APPFILE = re.compile(r"^\s*APPFILE\s*:\s*([A-Za-z0-9_]+)[\\/]", re.IGNORECASE | re.MULTILINE)

Report = Callable[[str], None]


def check_volume(volume: Volume, application_note: str) -> str:
    """The folder of the application note (`MB/HBI0309C/AN552`), on the right drive.

    Raises `CardError` when this is not the card of an MPS3, or boots something else.
    """
    where = volume.describe()
    root = {name.upper() for name in volume.listing("")}
    if {"CONFIG.TXT", "MB"} - root:
        debug = any(name.startswith("MBED") or name == "DETAILS.TXT" for name in root)
        raise CardError(
            f"{where} is not the SD card of an MPS3: it has no config.txt or no MB/"
            + (" (it is the board's debug drive, MBED MPS3)" if debug else ""),
            cure="name the drive labelled V2M-MPS3 in targets.mps3.volume",
        )
    if _SOFTWARE not in root:
        raise CardError(
            f"{where} has no folder {_SOFTWARE}", cure="copy Arm's bundle onto the card again"
        )
    boards = [n for n in volume.listing("MB") if n.upper().startswith("HBI0309")]
    folders = [
        f"MB/{board}/{name}"
        for board in boards
        for name in volume.listing(f"MB/{board}")
        if name.upper() == application_note
    ]
    if len(folders) != 1:
        raise CardError(
            f"{where}: {len(folders)} folders MB/HBI0309*/{application_note}; one is needed",
            cure=f"install Arm's {application_note} on the card, or set "
            "targets.mps3.application_note",
        )
    folder = folders[0]
    chosen = _APPFILE.search(
        (volume.read(f"{folder.rsplit('/', 1)[0]}/board.txt") or b"").decode("ascii", "replace")
    )
    if chosen is not None and chosen[1].upper() != application_note:
        raise CardError(
            f"{where}: board.txt boots {chosen[1]}, not {application_note}",
            cure="change APPFILE in board.txt, or set targets.mps3.application_note",
        )
    if "IMAGES.TXT" not in {name.upper() for name in volume.listing(folder)}:
        raise CardError(
            f"{where}: {folder} has no images.txt",
            cure=f"copy it from Arm's {application_note} bundle",
        )
    return folder


@dataclass(frozen=True)
class Card:
    """The card of the board, with the `folder` that `check_volume` found."""

    volume: Volume
    folder: str
    report: Report

    @property
    def _images(self) -> str:
        return f"{self.folder}/images.txt"

    @property
    def _backup(self) -> str:
        return f"{self.folder}/{_BACKUP}"

    def install(self, firmware: bytes, job: bytes) -> None:
        """Make the next boot load these. Writes only what is not there already.

        Raises `CardError` or `BoardError`; the card then still loads what it did before.
        """
        self.tidy()
        current = self._current()
        if not is_ours(current):
            self._keep(current)
        images = tuple(
            CardImage(self._place(kind, data, current), address)
            for kind, data, address in (
                ("F", firmware, FIRMWARE_ADDRESS),
                ("J", job, JOB_ADDRESS),
            )
        )
        wanted = render(images)
        if wanted != current:
            self.volume.sync()
            self._publish(wanted)
        self.tidy()
        self.volume.sync()

    def restore(self) -> None:
        """Restore the card to what it was before the bench. It is not an error if it already is."""
        current = self._current()
        if is_ours(current):
            backup = self.volume.read(self._backup)
            if backup is None:
                raise CardError(
                    f"{self.volume.describe()}: {self._images} is the bench's, and the original, "
                    f"{_BACKUP}, is gone",
                    cure=f"copy images.txt from Arm's bundle into {self.folder}",
                )
            self.report(f"restoring {self._images}")
            self.volume.replace(self._backup, self._images)
        self.tidy()
        self.volume.sync()

    def tidy(self) -> None:
        """Remove what an interrupted transaction left; never a file in use or not ours."""
        current = self._current()
        if not is_ours(current) and self.volume.read(self._backup) is not None:
            self.volume.remove(self._backup)
        if _TEMPORARY in {name.upper() for name in self.volume.listing(self.folder)}:
            self.volume.remove(f"{self.folder}/{_TEMPORARY}")
        used = files_of(current)
        for name in self.volume.listing(_SOFTWARE):
            if _OURS.fullmatch(name) and f"{_SOFTWARE}/{name}".upper() not in used:
                self.volume.remove(f"{_SOFTWARE}/{name}")

    def _current(self) -> bytes:
        content = self.volume.read(self._images)
        if content is None:
            raise BoardError(f"{self.volume.describe()}: {self._images} is gone")
        return content

    def _keep(self, content: bytes) -> None:
        self.report(f"keeping {self._images} as {_BACKUP}")
        temporary = f"{self.folder}/{_TEMPORARY}"
        self.volume.write(temporary, content)
        self.volume.replace(temporary, self._backup)

    def _place(self, kind: str, data: bytes, current: bytes) -> str:
        """The name under which `data` is complete on the card; never that of a foreign file."""
        used = files_of(current)
        generations = set()
        for name in used:
            match = _OURS.fullmatch(name.rsplit("/", 1)[-1])
            if match is None or match[1].upper() != kind:
                continue
            if self.volume.read(name) == data:
                self.report(f"{name} is already on the card")
                return name
            generations.add(int(match[2]))
        free = next(n for n in range(_GENERATIONS) if n not in generations)
        name = f"{_SOFTWARE}/BENCH{kind}{free:02}.BIN"
        room = self.volume.free_bytes()
        if room < len(data) + _MARGIN:
            raise CardError(
                f"{self.volume.describe()}: {name} needs {len(data):,} bytes and {_MARGIN:,} to "
                f"spare; {room:,} are free",
                cure="make room on the card, or lower targets.mps3.image_mib",
            )
        self.report(f"writing {name}, {len(data):,} bytes")
        try:
            self.volume.write(name, data)
        except CardError:
            self.volume.remove(name)
            raise
        return name

    def _publish(self, content: bytes) -> None:
        self.report(f"exchanging {self._images}")
        temporary = f"{self.folder}/{_TEMPORARY}"
        self.volume.write(temporary, content)
        self.volume.replace(temporary, self._images)
