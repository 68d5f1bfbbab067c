"""Splits gone through: what they are, and stored so that arrays can be mapped.

A stored split is an archive (`.npz`) of `inputs` (or `inputs_0`, `inputs_1`, ...) and `labels` (or
`labels_0`, ...). Only a block of it is ever in memory.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import BuildError
from bench.core.npz import map_array, read_members
from bench.core.schema import StrictModel
from models.reading.splits import Block, Split

__all__ = ["ArrayFacts", "Rows", "SplitFacts", "read_rows", "survey_split", "write_split"]

#: Bytes that are copied at once.
_COPIED_BYTES = 4 << 20


class ArrayFacts(StrictModel):
    """An array of a split, as it is stored."""

    #: Without the first dimension.
    row: tuple[int, ...]
    dtype: str
    least: float
    most: float


class SplitFacts(StrictModel):
    """What is known of a split when all of it was seen."""

    samples: int
    inputs: tuple[ArrayFacts, ...]
    labels: tuple[ArrayFacts, ...]
    sha256: str


@dataclass(frozen=True, eq=False)
class Rows:
    """A stored split: arrays `[n, ...]`, mapped and read-only."""

    inputs: tuple[Array, ...]
    labels: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.inputs[0])


@dataclass
class _Column:
    """An array that goes by in blocks."""

    place: str
    row: tuple[int, ...] | None = None
    dtype: str = ""
    least: float = float("inf")
    most: float = float("-inf")
    rows: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def see(self, block: Array) -> None:
        if self.row is None:
            self.row, self.dtype = block.shape[1:], block.dtype.name
            self.digest.update(f"{block.dtype.str}{self.row}".encode())
        if (block.shape[1:], block.dtype.name) != (self.row, self.dtype):
            raise BuildError(
                f"{self.place}: sample {self.rows} is {block.dtype} {list(block.shape[1:])}, those "
                f"before are {self.dtype} {list(self.row)}"
            )
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            bad = int(np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(axis=1))[0])
            raise BuildError(
                f"{self.place}: sample {self.rows + bad} has a value that is not finite",
                cure="remove or mend it: a NaN in training makes every weight NaN",
            )
        if block.size:
            self.least = min(self.least, float(block.min()))
            self.most = max(self.most, float(block.max()))
        self.rows += len(block)
        self.digest.update(np.ascontiguousarray(block).data)

    def facts(self) -> ArrayFacts:
        assert self.row is not None
        return ArrayFacts(row=self.row, dtype=self.dtype, least=self.least, most=self.most)


def survey_split(split: Split, keep: Callable[[Block], None] | None = None) -> SplitFacts:
    """Go through all of `split`. `keep` is given each block.

    Raises `BuildError`, which names the sample, if it is empty, changes its shape, or has a value
    that is not finite.
    """
    columns: tuple[list[_Column], list[_Column]] = ([], [])
    for block in split.blocks():
        for kind, (known, arrays) in enumerate(zip(columns, block, strict=True)):
            if not known:
                known += [_Column(f"{split.place}{_of(kind, i)}") for i in range(len(arrays))]
            for column, array in zip(known, arrays, strict=True):
                column.see(array)
        if keep is not None:
            keep(block)
    inputs, labels = columns
    if not inputs or not inputs[0].rows:
        raise BuildError(f"{split.place}: has no samples")
    digest = hashlib.sha256()
    for column in (*inputs, *labels):
        digest.update(f"{column.rows} {column.digest.hexdigest()}\n".encode())
    return SplitFacts(
        samples=inputs[0].rows,
        inputs=tuple(column.facts() for column in inputs),
        labels=tuple(column.facts() for column in labels),
        sha256=digest.hexdigest(),
    )


def _of(kind: int, index: int) -> str:
    return ", labels" if kind else f", input {index}"


def write_split(split: Split, path: Path) -> SplitFacts:
    """Store `split` at `path`; the same split gives the same bytes.

    Raises `BuildError` like `survey_split`, and `OSError` if the disk fails.
    """
    with ExitStack() as stack:
        streams: dict[str, Any] = {}

        def keep(block: Block) -> None:
            for name, array in _named(block):
                if name not in streams:
                    streams[name] = stack.enter_context((path.parent / f".{name}").open("w+b"))
                streams[name].write(array.data)

        facts = survey_split(split, keep)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, array in _headers(facts):
                # As `numpy.savez` writes it, which dates every member 1980.
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, array)
                    stream = streams[name]
                    stream.seek(0)
                    while piece := stream.read(_COPIED_BYTES):
                        member.write(piece)
                (path.parent / f".{name}").unlink()
    return facts


def _named(block: Block) -> Iterator[tuple[str, Array]]:
    for kind, arrays in zip(("inputs", "labels"), block, strict=True):
        for index, array in enumerate(arrays):
            yield (kind if len(arrays) == 1 else f"{kind}_{index}"), array


def _headers(facts: SplitFacts) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, arrays in (("inputs", facts.inputs), ("labels", facts.labels)):
        for index, array in enumerate(arrays):
            yield (
                kind if len(arrays) == 1 else f"{kind}_{index}",
                {
                    "descr": np.lib.format.dtype_to_descr(np.dtype(array.dtype)),
                    "fortran_order": False,
                    "shape": (facts.samples, *array.row),
                },
            )


def read_rows(path: Path) -> Rows:
    """The split that `write_split` stored at `path`."""
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        members = read_members(archive, stream)
    arrays: dict[str, list[Array]] = {"inputs": [], "labels": []}
    for name, member in members.items():
        assert member.place is not None, "write_split packs nothing"
        arrays[name.split("_")[0]].append(map_array(path, member.place, member.header))
    return Rows(tuple(arrays["inputs"]), tuple(arrays["labels"]))
