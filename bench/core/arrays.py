"""Arrays: the alias for their type, their digest, files of them, and ways to take them in parts.

Test sets and outputs may be larger than the memory of a worker. So an array that was stored is
mapped, not read, and whatever goes through all of an array goes through it in parts.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bench.core.errors import BenchError
from bench.core.npz import map_array, read_members
from bench.core.units import MIB

__all__ = [
    "PART_BYTES",
    "Array",
    "digest_arrays",
    "empty_array",
    "join_parts",
    "load_arrays",
    "row_parts",
    "row_slices",
    "save_array",
    "save_arrays",
]

#: An array whose shape and dtype the context states.
Array: TypeAlias = npt.NDArray[Any]

#: What is taken of an array at once, in bytes as stored. Working on it takes a small multiple.
PART_BYTES = 1 << 20
#: Arrays of results up to this size, in bytes, are in memory.
_IN_MEMORY_BYTES = 64 << 20


def save_arrays(path: Path, arrays: Sequence[Array]) -> None:
    """Write `arrays` in order. NumPy dates the members 1980, so equal arrays give equal bytes."""
    np.savez(path, **{f"array_{i}": array for i, array in enumerate(arrays)})  # type: ignore[arg-type]


def load_arrays(path: Path) -> tuple[Array, ...]:
    """The inverse of `save_arrays`: mapped, so read-only. The file must stay as it is."""
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        members = read_members(archive, stream)
    found = []
    for index in range(len(members)):
        member = members[f"array_{index}"]
        assert member.place is not None, "save_arrays packs nothing"
        found.append(map_array(path, member.place, member.header))
    return tuple(found)


def save_array(
    path: Path,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    parts: Iterable[Array],
    *,
    fortran: bool = False,
) -> None:
    """Write `parts`, one after another in the order of storage, as one array (`.npy`).

    With `fortran` the first index varies fastest. What the parts have together must be `shape`.
    """
    dtype = np.dtype(dtype)
    with path.open("wb") as stream:
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": fortran,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(stream, header)
        for part in parts:
            stream.write(np.ascontiguousarray(part, dtype).data)


def empty_array(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """An array to write results into; a large one is in a file without a name, not in memory.

    Raises `BenchError` if the directory for temporary files has no room for it.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size <= _IN_MEMORY_BYTES:
        return np.empty(shape, dtype)
    try:
        with tempfile.TemporaryFile(prefix="bench-") as stream:
            # A mapped file that turns out to have no room ends the process.
            os.posix_fallocate(stream.fileno(), 0, size)
            return np.memmap(stream, dtype, "r+", shape=shape).view(np.ndarray)
    except OSError as error:
        raise BenchError(
            f"{tempfile.gettempdir()} has no room for {size / MIB:,.0f} MiB of outputs: "
            f"{error.strerror or error}",
            cure="make room, or set TMPDIR to a directory that has it",
        ) from error


def row_slices(rows: int, row_bytes: int, most: int | None = None) -> Iterator[slice]:
    """Slices of `rows` rows, in order: as many rows as `most` bytes hold, at least one.

    `most` is `PART_BYTES` if it is None.
    """
    step = max(1, (PART_BYTES if most is None else most) // max(1, row_bytes))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def row_parts(array: Array) -> Iterator[Array]:
    """`array` `[n, ...]` in order, as views of some of its rows each."""
    for part in row_slices(len(array), array[:1].nbytes):
        yield array[part]


def join_parts(rows: int, parts: Iterable[tuple[slice, Sequence[Array]]]) -> tuple[Array, ...]:
    """Arrays `[rows, ...]` of which `parts` has some rows each; the slices say which.

    Raises `BenchError` if they are large and there is no room for them; see `empty_array`.
    """
    whole: tuple[Array, ...] = ()
    for part, arrays in parts:
        if (part.start, part.stop) == (0, rows):
            return tuple(arrays)
        if not whole:
            whole = tuple(empty_array((rows, *array.shape[1:]), array.dtype) for array in arrays)
        for into, array in zip(whole, arrays, strict=True):
            into[part] = array
    return whole


def digest_arrays(arrays: Sequence[Array]) -> str:
    """sha256 over dtypes, shapes and contents of `arrays`, in order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        for part in row_parts(np.atleast_1d(array)):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
