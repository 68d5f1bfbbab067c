"""The executable's output: its name and version, CRLF line ends, and a buffer."""

from __future__ import annotations

from typing import BinaryIO

__all__ = ["BANNER", "VERSION", "emit", "say"]

VERSION = "1.0.0"
_NAME = "Virtual Corstone-300 of the Ethos-U55 regression bench"
BANNER = f"{_NAME} {VERSION}; not an Arm product"


def say(out: BinaryIO, line: str) -> None:
    """Print a line with the line end of an FVP."""
    emit(out, line.encode() + b"\r\n", flush=False)


def emit(out: BinaryIO, data: bytes, *, flush: bool) -> None:
    """Print bytes unchanged."""
    out.write(data)
    if flush:
        out.flush()
