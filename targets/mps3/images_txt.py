r"""`images.txt`: what the MCC loads at boot, and where.

Addresses are the MCC's own: 0x0 is the device's ITCM, and 0x0c000000 is the secure alias of its DDR
at 0x70000000, where the firmware looks for the job. Windows are 64 MiB apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "FIRMWARE_ADDRESS",
    "JOB_ADDRESS",
    "JOB_WINDOW",
    "CardImage",
    "files_of",
    "is_ours",
    "render",
]

FIRMWARE_ADDRESS = 0x0000_0000
JOB_ADDRESS = 0x0C00_0000
JOB_WINDOW = 64 << 20
_TITLE = "Ethos-U55 regression bench"
_FILE = re.compile(r"^\s*IMAGE\d+FILE\s*:\s*([^;\r\n]*)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class CardImage:
    """A file on the card, and the MCC address to which it is loaded."""

    #: Relative, with `/`, each part 8.3.
    name: str
    address: int


def render(images: tuple[CardImage, ...]) -> bytes:
    """The file that loads `images`; `is_ours` recognises it."""
    lines = [f"TITLE: {_TITLE} ;the file before it is BENCHOLD.TXT", "", "[IMAGES]"]
    lines.append(f"TOTALIMAGES: {len(images)} ;Number of Images (Max: 32)")
    for index, image in enumerate(images):
        path = "\\" + image.name.replace("/", "\\")
        lines += [
            "",
            f"IMAGE{index}ADDRESS: 0x{image.address:08x}",
            f"IMAGE{index}UPDATE: AUTO",
            f"IMAGE{index}FILE: {path}",
        ]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def is_ours(content: bytes) -> bool:
    """Whether `render` wrote it."""
    return content.startswith(f"TITLE: {_TITLE}".encode())


def files_of(content: bytes) -> tuple[str, ...]:
    """The files an images.txt names, relative, with `/`, in upper case."""
    text = content.decode("ascii", "replace")
    names = (match.strip().replace("\\", "/").strip("/").upper() for match in _FILE.findall(text))
    return tuple(names)
