"""A user's archive of arrays, opened without trust: first its headers, then its arrays.

A few kilobytes can declare, or even unpack to, more than the machine's memory. So the file is read,
then the headers of its arrays, and the arrays only after the headers have been checked.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.core.files import read_regular
from bench.core.text import one_line
from bench.core.units import MIB

__all__ = ["ArrayArchive", "ArrayHeader", "open_archive"]

#: Bytes of the file, and of all its arrays together once they are opened: a data set is held in
#: memory. More is no test set, or a bomb.
_MOST_BYTES = 4 << 30
#: Bytes at the start of a member in which the header of an array of plain numbers ends.
_HEADER_BYTES = 1 << 14


@dataclass(frozen=True)
class ArrayHeader:
    """What an array in the archive says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Its number of dimensions."""
        return len(self.shape)


@dataclass(frozen=True)
class ArrayArchive:
    """An archive whose headers have been read, but not its arrays."""

    path: Path
    #: Of the file.
    sha256: str
    headers: Mapping[str, ArrayHeader]
    data: bytes

    def arrays(self) -> dict[str, Array]:
        """The arrays by name. Raises `ModelError` if one is not what its header says."""
        with _readable(self.path), np.load(io.BytesIO(self.data), allow_pickle=False) as archive:
            return {name: archive[name] for name in self.headers}


def open_archive(path: Path) -> ArrayArchive:
    """Read the `.npz` file at `path` and the headers of its arrays.

    Raises `ModelError`, which names the file, if it cannot be read, is not such an archive, or
    unpacks to more than a data set may have.
    """
    with _readable(path):
        data = read_regular(path, _MOST_BYTES)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # The reader of a member goes by this size too, and stops there.
            size = sum(member.file_size for member in archive.infolist())
            if size > _MOST_BYTES:
                raise ValueError(
                    f"it opens to {size / MIB:,.0f} MiB, more than {_MOST_BYTES / MIB:,.0f} MiB"
                )
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            headers = {name: _header(archive, member) for name, member in members.items()}
    return ArrayArchive(path, hashlib.sha256(data).hexdigest(), headers, data)


def _header(archive: zipfile.ZipFile, member: str) -> ArrayHeader:
    with archive.open(member) as stream:
        start = io.BytesIO(stream.read(_HEADER_BYTES))
    version = np.lib.format.read_magic(start)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(start)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(start)
    else:
        raise ValueError(f"{member}: version {version} of the format is not for plain numbers")
    if dtype.hasobject:
        raise ValueError(f"{member}: it holds Python objects, not numbers")
    return ArrayHeader(shape, dtype)


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
