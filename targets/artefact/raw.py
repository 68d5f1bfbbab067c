"""Vela's raw output (`--output-format raw`), an `.npz` of one `ethos-u` operator.

It has no names and no element types. It has scales only in pickled form, and pickles are never
loaded. Types are taken from the command stream where it reads an input or writes an output.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.lib import format as npy

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.core.files import open_regular
from bench.core.text import one_line
from targets.artefact.driver_actions import parse_payload
from targets.artefact.errors import stream_of
from targets.artefact.model import (
    ARENA_LIMIT,
    FAST_REGION,
    FLASH_REGION,
    INPUT_REGION,
    OUTPUT_REGION,
    SCRATCH_REGION,
    ArenaRegion,
    Artefact,
    FlashRegion,
    InterfaceRegion,
    ModelTensor,
    NpuOperator,
    Region,
)
from targets.artefact.stream.decode import decode
from targets.artefact.stream.operations import BlockOperation, Elementwise, FeatureMap, Operation

__all__ = ["load_raw"]

_KINDS = ("input", "output", "variable")
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    OverflowError,
    # Raised by NumPy's parser of array headers.
    SyntaxError,
    tokenize.TokenError,
    # Raised by zipfile for encryption and for unknown compressions.
    RuntimeError,
)
_BY_SIZE = {1: "int8", 2: "int16", 4: "int32"}
_CURE = "compile the model again with --output-format raw"


def load_raw(path: Path) -> Artefact:
    """Read Vela's raw output. Raises as `load_artefact` does."""
    try:
        with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            arrays = _Arrays(archive)
            return _load(path, arrays)
    except OSError as error:
        raise ModelError(
            f"cannot read the compiled model {path}: {error.strerror or error}",
            cure="give the path of a .npz file",
        ) from error
    except _DAMAGE as error:
        raise ModelError(f"the compiled model {path} is damaged: {error}", cure=_CURE) from error


class _Arrays:
    """The archive's arrays, read without unpickling and without trusting their headers."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def bytes(self, name: str) -> bytes:
        """The contents of an array, whatever its type."""
        return self._read(name).tobytes()

    def integers(self, name: str) -> list[list[int]]:
        """A vector or matrix of integers as rows; an empty one may have any type."""
        array = self._read(name)
        if array.size == 0:
            return []
        if array.dtype.kind not in "iu" or array.ndim > 2:
            raise ValueError(f"{name} holds {array.dtype}, {array.ndim} dimensions")
        rows: list[list[int]] = array.reshape(len(np.atleast_1d(array)), -1).tolist()
        return rows

    def integer(self, name: str) -> int:
        """One integer."""
        rows = self.integers(name)
        if len(rows) != 1 or len(rows[0]) != 1:
            raise ValueError(f"{name} is not a single integer")
        return rows[0][0]

    def _read(self, name: str) -> Array:
        info = self._archive.getinfo(f"{name}.npy")
        if info.file_size > ARENA_LIMIT:
            raise ValueError(f"{name} of {info.file_size} bytes")
        with self._archive.open(info) as member:
            version = npy.read_magic(member)
            read_header = (
                npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            )
            shape, fortran, dtype = read_header(member)
            data = member.read(ARENA_LIMIT)
        if dtype.hasobject or fortran or dtype.itemsize == 0:
            raise ValueError(f"{name} is of type {dtype}")
        return np.frombuffer(data, dtype).reshape(shape)


def _load(path: Path, arrays: _Arrays) -> Artefact:
    with stream_of(f"the compiled model {path}"):
        payload = parse_payload(arrays.bytes("cmd_data"))
        operations = decode(payload.commands, payload.macs)
    for name, expected in (("weight", FLASH_REGION), ("scratch", SCRATCH_REGION)):
        if arrays.integer(f"{name}_region") != expected:
            raise ValueError(f"{name}_region is not {expected}")
    scratch, fast = arrays.integer("scratch_size"), arrays.integer("scratch_fast_size")
    if min(scratch, fast) < 0 or scratch + fast > ARENA_LIMIT:
        raise ValueError(f"scratch of {scratch} and {fast} bytes")
    flash = np.frombuffer(arrays.bytes("weight_data"), np.uint8)
    tensors: list[ModelTensor] = []
    slots: dict[int, list[tuple[int, int]]] = {INPUT_REGION: [], OUTPUT_REGION: []}
    indices: dict[str, tuple[int, ...]] = {}
    for kind in _KINDS:
        first = len(tensors)
        for tensor, region, offset in _tensors(arrays, kind, first, operations, scratch + fast):
            tensors.append(tensor)
            if tensor.offset is None:
                slots[region].append((tensor.index, offset))
        indices[kind] = tuple(range(first, len(tensors)))
    regions: dict[int, Region] = {
        FLASH_REGION: FlashRegion(flash),
        SCRATCH_REGION: ArenaRegion(0, scratch),
        FAST_REGION: ArenaRegion(scratch, fast) if fast else ArenaRegion(0, scratch),
    }
    for region, members in slots.items():
        if members:
            end = max(offset + tensors[index].size for index, offset in members)
            regions[region] = InterfaceRegion(tuple(members), -(-end // 16) * 16)
    lengths = [each.length for each in regions.values() if isinstance(each, InterfaceRegion)]
    if scratch + fast + sum(lengths) > ARENA_LIMIT:
        raise ValueError(f"memory of {scratch + fast} and {sum(lengths)} bytes")
    operator = NpuOperator(
        index=0,
        payload=payload,
        operations=operations,
        regions=MappingProxyType(regions),
        inputs=(*indices["input"], *indices["variable"]),
        outputs=indices["output"],
    )
    return Artefact(
        name=one_line(path.name),
        tensors=tuple(tensors),
        operators=(operator,),
        inputs=indices["input"],
        outputs=indices["output"],
        macs=payload.macs,
        arena_bytes=scratch + fast,
        file=None,
    )


def _tensors(
    arrays: _Arrays, kind: str, first: int, operations: tuple[Operation, ...], arena: int
) -> Iterable[tuple[ModelTensor, int, int]]:
    """Tensors of one kind, each with its region and its offset in the region."""
    shapes = arrays.integers(f"{kind}_shape")
    sizes, regions, offsets = (
        [row[0] for row in arrays.integers(f"{kind}_{name}")]
        for name in ("elem_size", "region", "offset")
    )
    for i, (shape, item, region, offset) in enumerate(
        zip(shapes, sizes, regions, offsets, strict=True)
    ):
        name = f"{kind}_{i}"
        if min(shape) < 1 or item not in _BY_SIZE:
            raise ValueError(f"{name} has shape {shape}, {item} bytes per element")
        size = item
        for dimension in shape:
            size *= dimension
        in_arena = region == SCRATCH_REGION
        if not in_arena and region not in (INPUT_REGION, OUTPUT_REGION):
            raise ValueError(f"{name} is in region {region}")
        if offset < 0 or offset + size > (arena if in_arena else ARENA_LIMIT):
            raise ValueError(f"{name}: {size} bytes at {offset} are outside region {region}")
        tensor = ModelTensor(
            index=first + i,
            name=name,
            shape=_batched(shape),
            dtype=_dtype(operations, region, offset, item),
            size=size,
            offset=offset if in_arena else None,
            constant=None,
            scales=(),
            zero_points=(),
            is_variable=kind == "variable",
        )
        yield tensor, region, offset


def _batched(shape: list[int]) -> tuple[int, ...]:
    """The shape with one leading 1, the batch; Vela pads all shapes of a file to one rank."""
    significant = next((i for i, size in enumerate(shape) if size != 1), len(shape) - 1)
    return (1, *shape[significant:])


def _dtype(operations: tuple[Operation, ...], region: int, offset: int, item: int) -> str:
    """The type of the stream's first access to an address; otherwise signed, of `item` bytes."""
    for operation in operations:
        for feature_map in _feature_maps(operation):
            if (
                feature_map.region == region
                and feature_map.bases[0] == offset
                and feature_map.dtype.bytes == item
            ):
                return feature_map.dtype.value
    return _BY_SIZE[item]


def _feature_maps(operation: Operation) -> tuple[FeatureMap, ...]:
    if not isinstance(operation, BlockOperation):
        return ()
    second = operation.ifm2 if isinstance(operation, Elementwise) else None
    return (
        (operation.ifm, operation.ofm)
        if second is None
        else (
            operation.ifm,
            second,
            operation.ofm,
        )
    )
