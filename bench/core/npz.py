"""NumPy's archives of arrays (`.npz`): their headers alone, and their arrays where they lie.

An archive is a zip file of `.npy` members. The values of a member that is stored as it is can be
mapped in place; a packed one has to be read from its beginning.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["ArrayHeader", "Member", "map_array", "read_members", "read_pieces"]

#: Bytes at the start of a member in which the header of an array of plain numbers ends.
_HEADER_BYTES = 1 << 14
#: Bytes asked for at once: what zipfile reads and unpacks for it is of the same order.
_READ_BYTES = 1 << 18
#: A member's local header: its signature, and the lengths of its two parts that vary
#: (APPNOTE.TXT of PKWARE, 4.3.7).
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LOCAL_SIGNATURE = b"PK\3\4"


@dataclass(frozen=True)
class ArrayHeader:
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    #: Whether the first index varies fastest, not the last.
    fortran: bool

    @property
    def ndim(self) -> int:
        """Its number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Its number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of its values."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True)
class Member:
    """An array in an archive."""

    #: Its name in the zip file.
    file: str
    header: ArrayHeader
    #: Where its values begin in the unpacked member.
    start: int
    #: Where its values begin in the archive; None if they are packed.
    place: int | None


def read_members(archive: zipfile.ZipFile, stream: IO[bytes]) -> dict[str, Member]:
    """The arrays of `archive`, which `stream` holds, by name; their values are not read.

    Raises `ValueError` for a header that is none, for Python objects, and for an array that claims
    to be longer than it is; and what zipfile and NumPy raise of damaged files.
    """
    size = stream.seek(0, io.SEEK_END)
    return {
        name.removesuffix(".npy"): _member(archive, archive.getinfo(name), stream, size)
        for name in archive.namelist()
    }


def read_pieces(
    archive: zipfile.ZipFile, member: Member, elements: int
) -> Iterator[npt.NDArray[Any]]:
    """The values of `member` in the order in which they are stored, `[m]` each, m <= `elements`.

    After the last, the member's checksum has been compared. Raises what zipfile raises of damaged
    files, and `ValueError` if the member ends early.
    """
    left = member.header.size
    with archive.open(member.file) as stream:
        stream.read(member.start)
        while left:
            piece = np.empty(min(left, elements), member.header.dtype)
            left -= piece.size
            _fill(stream, member.file, piece.view(np.uint8))
            yield piece
        while stream.read(_READ_BYTES):
            pass


def map_array(path: Path, place: int, header: ArrayHeader) -> npt.NDArray[Any]:
    """The array whose values begin at byte `place` of the file at `path`; read-only, mapped.

    The file must not become shorter while the array is used.
    """
    if not header.size:
        return np.empty(header.shape, header.dtype)
    order: Literal["C", "F"] = "F" if header.fortran else "C"
    mapping = np.memmap(path, header.dtype, "r", place, header.shape, order)
    array: npt.NDArray[Any] = mapping.view(np.ndarray)
    return array


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, stream: IO[bytes], archive_bytes: int
) -> Member:
    with archive.open(info) as unpacked:
        beginning = io.BytesIO(unpacked.read(_HEADER_BYTES))
    header = _header(info.filename, beginning)
    start = beginning.tell()
    has = info.file_size - start
    if header.nbytes > has:
        raise ValueError(f"{info.filename}: {header.nbytes:,} bytes are declared, it has {has:,}")
    if info.compress_type != zipfile.ZIP_STORED:
        return Member(info.filename, header, start, None)
    place = _place(info, stream) + start
    if place + header.nbytes > archive_bytes:
        raise ValueError(f"{info.filename}: it goes on after the end of the file")
    return Member(info.filename, header, start, place)


def _header(name: str, stream: IO[bytes]) -> ArrayHeader:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"{name}: version {version} of the format is not for plain numbers")
    if dtype.hasobject:
        raise ValueError(f"{name}: it holds Python objects, not numbers")
    if any(length < 0 for length in shape):
        raise ValueError(f"{name}: its shape is {shape}")
    return ArrayHeader(shape, dtype, fortran)


def _place(info: zipfile.ZipInfo, stream: IO[bytes]) -> int:
    """Where the content of a member that is stored as it is begins in the archive."""
    stream.seek(info.header_offset)
    signature, name, extra = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    if signature != _LOCAL_SIGNATURE:
        raise ValueError(f"{info.filename}: there is no member where it should be")
    place: int = info.header_offset + _LOCAL_HEADER.size + name + extra
    return place


def _fill(stream: IO[bytes], name: str, target: npt.NDArray[np.uint8]) -> None:
    filled = 0
    while filled < target.size:
        read = stream.read(min(_READ_BYTES, target.size - filled))
        if not read:
            raise ValueError(f"{name}: it ends early")
        target[filled : filled + len(read)] = np.frombuffer(read, np.uint8)
        filled += len(read)
