"""Constants of which a `.tflite` holds only the values that are not 0.

The format is that of TACO, as TensorFlow Lite's schema describes it (`SparsityParameters`): a
dimension may be split into blocks, which makes it two. The dimensions are stored in any order, one
level below the other. A level is dense, or has the indices of what is stored (compressed sparse
rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from bench.core.arrays import Array
from bench.tflite.graph import FileGraph

__all__ = ["dense_constant"]

#: The largest constant that is made dense, in bytes; those of an Ethos-U55 have a few MiB.
_DENSE_BYTES_MAX = 1 << 28
#: More levels than TensorFlow Lite has dimensions, and blocks of them.
_LEVELS_MAX = 16

_Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Blocks:
    """A tensor's dimensions, and those of its blocks after them."""

    #: Of the tensor: how many blocks there are in each dimension.
    outer: tuple[int, ...]
    #: Of a block: its size.
    inner: tuple[int, ...]
    #: Which of the tensor's dimensions each of `inner` splits.
    split: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return (*self.outer, *self.inner)

    @property
    def strides(self) -> tuple[int, ...]:
        """Elements from one index to the next of each dimension of `sizes`."""
        return tuple(prod(self.sizes[place + 1 :]) for place in range(len(self.sizes)))

    @property
    def axes(self) -> list[int]:
        """The dimensions of `sizes` in such an order that each block follows what it splits."""
        rank = len(self.outer)
        inner = {dimension: rank + place for place, dimension in enumerate(self.split)}
        return [axis for i in range(rank) for axis in ((i, inner[i]) if i in inner else (i,))]


def dense_constant(graph: FileGraph, index: int) -> Array:
    """The constant at tensor `index` of the first subgraph, in its own shape and type.

    Raises one of `EXTRACT_DAMAGE` if what is stored is no constant of this shape.
    """
    info, data = graph.tensors[index], graph.constants[index]
    dtype = np.dtype(info.dtype)
    if data is None or min(info.shape, default=0) < 1:
        raise ValueError(f"the constant {info.name!r} has no values")
    if prod(info.shape) * dtype.itemsize > _DENSE_BYTES_MAX:
        raise ValueError(f"the constant {info.name!r} has the shape {list(info.shape)}")
    stored = np.frombuffer(data.tobytes(), dtype)
    parameters = _parameters(graph, index)
    blocks = _blocks(info.shape, parameters)
    places = _places(blocks, parameters, len(stored))
    dense = np.zeros(prod(info.shape), dtype)
    dense[places] = stored
    whole: Array = dense.reshape(blocks.sizes).transpose(blocks.axes).reshape(info.shape)
    return whole


def _parameters(graph: FileGraph, index: int) -> Any:
    model = schema.Model.GetRootAsModel(graph.data, 0)
    sparsity = model.Subgraphs(0).Tensors(index).Sparsity()
    levels = sparsity.DimMetadataLength()
    if not 0 < levels <= _LEVELS_MAX:
        raise ValueError(f"a sparse constant has {levels} levels")
    return schema.SparsityParametersT.InitFromObj(sparsity)


def _blocks(shape: Sequence[int], parameters: Any) -> _Blocks:
    levels = len(parameters.dimMetadata)
    order = [int(i) for i in parameters.traversalOrder]
    split = tuple(int(i) for i in (() if parameters.blockMap is None else parameters.blockMap))
    rank = len(shape)
    whole = sorted(order) == list(range(levels)) and levels == rank + len(split)
    if not whole or len(set(split)) < len(split) or not set(split) <= set(range(rank)):
        raise ValueError(f"a sparse constant has the levels {order} and the blocks {list(split)}")
    inner = tuple(
        int(parameters.dimMetadata[order.index(rank + place)].denseSize)
        for place in range(len(split))
    )
    outer = list(shape)
    for dimension, size in zip(split, inner, strict=True):
        if size < 1 or shape[dimension] % size:
            raise ValueError(f"a sparse constant {list(shape)} has blocks of {size}")
        outer[dimension] //= size
    return _Blocks(tuple(outer), inner, split)


def _places(blocks: _Blocks, parameters: Any, stored: int) -> _Indices:
    """Where each of the `stored` values belongs, as an index into an array of `blocks.sizes`."""
    places = np.zeros(1, np.int64)
    for level, dimension in zip(parameters.dimMetadata, parameters.traversalOrder, strict=True):
        size, stride = blocks.sizes[dimension], blocks.strides[dimension]
        if level.format == schema.DimensionType.DENSE:
            if level.denseSize != size or len(places) * size > _DENSE_BYTES_MAX:
                raise ValueError(f"a sparse constant has {level.denseSize} of {size} in a level")
            places = (places[:, np.newaxis] + np.arange(size) * stride).reshape(-1)
            continue
        counts, indices = _compressed(level, len(places), size)
        places = np.repeat(places, counts) + indices * stride
    if len(places) != stored or len(np.unique(places)) != stored:
        raise ValueError(f"a sparse constant has {stored} values for {len(places)} places")
    return places


def _compressed(level: Any, rows: int, size: int) -> tuple[_Indices, _Indices]:
    """How many indices each row has, and the indices of all of them."""
    if level.arraySegments is None or level.arrayIndices is None:
        raise ValueError("a sparse constant lacks the indices of a level")
    segments = np.asarray(level.arraySegments.values, np.int64)
    indices = np.asarray(level.arrayIndices.values, np.int64)
    counts = np.diff(segments)
    if (
        len(segments) != rows + 1
        or segments[0] != 0
        or segments[-1] != len(indices)
        or counts.min(initial=0) < 0
        or indices.min(initial=0) < 0
        or indices.max(initial=0) >= size
    ):
        raise ValueError(f"a sparse constant has indices beyond {rows} rows of {size}")
    return counts, indices
