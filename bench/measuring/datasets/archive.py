"""A user's archive of arrays, opened without trust: first its headers, then its values in pieces.

A few kilobytes can declare, or even unpack to, more than the machine's memory or disk. So headers
are read and checked before anything else, and never more than a piece is held in memory.
"""

from __future__ import annotations

import errno
import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.core.files import open_regular
from bench.core.npz import ArrayHeader, Member, read_members, read_pieces
from bench.core.text import one_line
from bench.core.units import MIB

__all__ = ["PIECE_ELEMENTS", "ArrayArchive", "open_archive"]

#: Bytes of a file. It is not held in memory, but read a few times.
_MOST_BYTES = 64 << 30
#: Bytes of all packed arrays together when they are unpacked. More is a bomb, or better not packed.
_MOST_UNPACKED = 4 << 30
#: Bytes that zipfile may read at once. Only a directory of thousands of arrays is longer.
_MOST_READ = 1 << 20
#: What NumPy writes. What zipfile can unpack besides, it unpacks without a bound.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: Values in a piece.
PIECE_ELEMENTS = 1 << 18


@dataclass(frozen=True)
class ArrayArchive:
    """An open archive whose headers have been read, but not its values."""

    path: Path
    members: Mapping[str, Member]
    _archive: zipfile.ZipFile

    @property
    def headers(self) -> Mapping[str, ArrayHeader]:
        """The headers of its arrays, by name."""
        return {name: member.header for name, member in self.members.items()}

    def pieces(self, name: str) -> Iterator[Array]:
        """The values of an array in the order in which they are stored, `[m]` each.

        m is at most `PIECE_ELEMENTS`. Raises `ModelError` if the array is not what its header says.
        """
        pieces = read_pieces(self._archive, self.members[name], PIECE_ELEMENTS)
        while True:
            with _readable(self.path):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece


@contextmanager
def open_archive(path: Path) -> Iterator[ArrayArchive]:
    """Open the `.npz` file at `path` and read the headers of its arrays.

    Raises `ModelError`, which names the file, if it cannot be read, is not such an archive, or
    unpacks to more than a data set may have.
    """
    with ExitStack() as stack:
        with _readable(path):
            stream = _Reader(stack.enter_context(open_regular(path)).fileno())
            size = os.fstat(stream.fileno()).st_size
            if size > _MOST_BYTES:
                raise OSError(errno.EFBIG, f"larger than {_MOST_BYTES / MIB:,.0f} MiB")
            archive = stack.enter_context(zipfile.ZipFile(stream))
            _require_bounded(archive)
            members = read_members(archive, stream)
        yield ArrayArchive(path, members, archive)


class _Reader(io.BufferedReader):
    """The file as zipfile reads it: its directory whole, however long that says it is."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(io.FileIO(descriptor, closefd=False))

    def read(self, size: int | None = -1, /) -> bytes:
        """As for any file. Raises `ValueError` if too much is wanted."""
        if size is not None and size > _MOST_READ:
            raise ValueError("its directory is too long for an archive of a few arrays")
        return super().read(size)


def _require_bounded(archive: zipfile.ZipFile) -> None:
    packed = 0
    for member in archive.infolist():
        if member.compress_type not in _PACKINGS:
            raise ValueError(f"{member.filename}: it is packed in a way that NumPy does not use")
        if member.compress_type != zipfile.ZIP_STORED:
            # The reader of a member goes by this size too, and stops there.
            packed += member.file_size
    if packed > _MOST_UNPACKED:
        raise ValueError(
            f"it opens to {packed / MIB:,.0f} MiB, more than the {_MOST_UNPACKED / MIB:,.0f} MiB "
            "that packed arrays may have"
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Nothing of the bench's own is called here. zipfile, zlib and NumPy raise what their
        # authors did not think of, too: an altered byte can ask for encryption, an unknown
        # compression, an array beyond all memory, or be no Python where NumPy reads Python.
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise ModelError(
            f"cannot read the dataset {path}: {one_line(said or type(error).__name__)}",
            cure="write it with numpy.savez(path, inputs=..., labels=...)",
        ) from error
