"""Reading an ELF file: which bytes it puts where."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bench.core.errors import ModelError

__all__ = ["Program", "Segment", "read_elf"]

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<8I")
_ELF32_LITTLE = b"\x7fELF\x01\x01"
_ARM = 40
_LOAD = 1


@dataclass(frozen=True)
class Segment:
    """Bytes to load at a physical address."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Program:
    """What a loader needs of an ELF."""

    entry: int
    segments: tuple[Segment, ...]


def read_elf(data: bytes, name: str) -> Program:
    """Parse the 32-bit little-endian Arm ELF `data`. Raises `ModelError`, which names `name`."""
    cure = "give the firmware's ELF (.axf)"
    if len(data) < _HEADER.size or data[:6] != _ELF32_LITTLE:
        raise ModelError(f"{name} is not a 32-bit little-endian ELF file", cure=cure)
    header = _HEADER.unpack_from(data)
    machine, entry, table, size, count = header[2], header[4], header[5], header[9], header[10]
    if machine != _ARM or size != _PROGRAM_HEADER.size or table + size * count > len(data):
        raise ModelError(f"{name} is not an ELF for Arm, or is damaged", cure=cure)
    segments = []
    for i in range(count):
        kind, offset, _, address, file_bytes, *_ = _PROGRAM_HEADER.unpack_from(
            data, table + i * size
        )
        if kind != _LOAD or file_bytes == 0:
            continue
        if offset + file_bytes > len(data):
            raise ModelError(f"{name} is cut off: a segment ends after the file", cure=cure)
        segments.append(Segment(address, data[offset : offset + file_bytes]))
    return Program(entry, tuple(segments))
