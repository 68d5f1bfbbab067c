"""Machine code from an object file, without a linker.

A kernel calls nothing, and has constants at most. So its object file (ELF of x86-64) becomes one
block of memory, in which the code finds its constants by their distance from itself. Whatever else
an object file may ask for is refused. Sources: the System V ABI and its supplement for AMD64.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
import sys
from dataclasses import dataclass

from targets.simulator.native.kernels import Function

__all__ = ["ObjectFileError", "Program", "link", "links_here"]

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QIIq")
#: ELF of 64 bits, little-endian, version 1; a relocatable file; the processor.
_BEGINNING, _RELOCATABLE, _AMD64 = b"\x7fELF\x02\x01\x01", 1, 62
#: Kinds of sections. The last has the stack's layout, for debuggers and exceptions.
_PROGBITS, _SYMBOLS, _RELA, _REL, _UNWIND = 1, 2, 4, 9, 0x70000001
_WRITABLE, _ALLOCATED, _EXECUTABLE = 1, 2, 4
#: The only relocation: the distance from the place itself to the symbol, 32 bits.
_PC32 = 2


class ObjectFileError(RuntimeError):
    """An object file is damaged, or asks for more than it can be given here."""


@dataclass(frozen=True)
class _Section:
    kind: int
    flags: int
    data: bytes
    link: int
    info: int
    align: int

    @property
    def is_needed(self) -> bool:
        """Whether a kernel can need it while it runs."""
        return bool(self.flags & _ALLOCATED) and self.kind != _UNWIND


@dataclass(frozen=True)
class Program:
    """A function that needs nothing but itself, wherever it lies."""

    block: bytes
    #: Where the function begins.
    entry: int

    def function(self) -> Function:
        """The function, in memory that is first written and then executed, never both.

        Raises `OSError` if memory may not become code.
        """
        memory = mmap.mmap(-1, len(self.block))
        memory.write(self.block)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        if protect(address, len(self.block), mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address + self.entry)
        # The memory must live as long as the function.
        function.memory = memory  # type: ignore[attr-defined]
        return function


def links_here() -> bool:
    """Whether object files of this processor can be linked."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def link(data: bytes, name: str) -> Program:
    """The function `name` of an object file. Raises `ObjectFileError`."""
    try:
        sections = _sections(data)
        block, places = _laid_out(sections)
        for section in sections:
            if section.kind in (_RELA, _REL) and section.info in places:
                _relocate(block, places, section, sections)
        return Program(bytes(block), _entry(sections, places, name))
    except (struct.error, IndexError, ValueError) as error:
        raise ObjectFileError(f"the object file is damaged: {error}") from error


def _sections(data: bytes) -> list[_Section]:
    identity, kind, machine, _, _, _, start, _, _, _, _, size, count, _ = _HEADER.unpack_from(data)
    if not identity.startswith(_BEGINNING) or (kind, machine) != (_RELOCATABLE, _AMD64):
        raise ObjectFileError("there is no object file of x86-64")
    if size != _SECTION.size:
        raise ObjectFileError(f"sections are described by {size} bytes")
    found = []
    for number in range(count):
        _, kind, flags, _, offset, length, link, info, align, _ = _SECTION.unpack_from(
            data, start + number * size
        )
        # A section without content has a length all the same, but none that is needed here.
        content = data[offset : offset + length]
        if kind == _PROGBITS and len(content) != length:
            raise ObjectFileError("the object file ends too early")
        found.append(_Section(kind, flags, content, link, info, align))
    return found


def _laid_out(sections: list[_Section]) -> tuple[bytearray, dict[int, int]]:
    """The needed sections one after another, and where each begins."""
    block, places = bytearray(), dict[int, int]()
    for number, section in enumerate(sections):
        if not section.is_needed:
            continue
        if section.kind != _PROGBITS or section.flags & _WRITABLE:
            raise ObjectFileError("a kernel has variables outside of its function")
        align = max(1, section.align)
        if align > mmap.PAGESIZE:
            raise ObjectFileError(f"a section begins at a multiple of {align} bytes")
        block += bytes(-len(block) % align)
        places[number] = len(block)
        block += section.data
    return block, places


def _relocate(
    block: bytearray, places: dict[int, int], table: _Section, sections: list[_Section]
) -> None:
    """Write what `table` says into the section that it is for."""
    if table.kind == _REL:
        raise ObjectFileError("relocations have no addends")
    symbols, length = sections[table.link].data, len(sections[table.info].data)
    for offset, kind, symbol, addend in _RELOCATION.iter_unpack(table.data):
        _, _, _, home, value, _ = _SYMBOL.unpack_from(symbols, symbol * _SYMBOL.size)
        if kind != _PC32 or home not in places:
            raise ObjectFileError(f"a kernel needs what it has not got (relocation {kind})")
        if offset + 4 > length:
            raise ObjectFileError("a relocation is for no place in its section")
        place = places[table.info] + offset
        struct.pack_into("<i", block, place, places[home] + value + addend - place)


def _entry(sections: list[_Section], places: dict[int, int], name: str) -> int:
    for section in sections:
        if section.kind != _SYMBOLS:
            continue
        names = sections[section.link].data
        home: int
        value: int
        for index, _, _, home, value, _ in _SYMBOL.iter_unpack(section.data):
            if names[index : names.index(b"\0", index)] != name.encode() or home not in places:
                continue
            if sections[home].flags & _EXECUTABLE and value < len(sections[home].data):
                return places[home] + value
    raise ObjectFileError(f"there is no function {name}")
