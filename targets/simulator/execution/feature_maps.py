"""Feature maps as strided views of memory: read and written without index arrays.

A feature map is cut into pieces along its tiles and, if channels come in bricks, at the last
incomplete brick. Inside a piece, the address is a linear function of the coordinates, so a piece is
a NumPy view. Most feature maps are one piece and are read in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from bench.core.arrays import Array
from targets.artefact.stream.operations import FeatureMap, Layout
from targets.ethos_u55.tensors import BRICK_CHANNELS
from targets.simulator.execution.memory import Memory, MemoryMap, Site

__all__ = ["FeatureMapPort", "Piece", "extents_of"]

#: The most elements that a row's feature map may have. With strides of 0, a damaged stream could
#: ask for 2^48 of them in any region. The SRAM for the largest networks holds far fewer.
_MAX_ELEMENTS = 1 << 25


@dataclass(frozen=True)
class Piece:
    """A part of a feature map in which addresses are linear in the coordinates.

    The view has the axes row, height, width, and then either channel, or brick and channel in
    brick.
    """

    window: tuple[slice, slice, slice]
    #: Byte within the region.
    base: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, int]:
        """First byte and end, without the size of the last element."""
        reach = [(size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)]
        return (
            self.base + sum(step for step in reach if step < 0),
            self.base + sum(step for step in reach if step > 0),
        )


class FeatureMapPort:
    """A feature map, checked once and read or written for any batch.

    Raises `StreamError` when any byte of it is outside its region.
    """

    def __init__(self, fm: FeatureMap, layout: MemoryMap, site: Site, *, writing: bool) -> None:
        self.shape = (fm.height, fm.width, fm.depth)
        self.dtype: np.dtype[Any] = np.dtype(fm.dtype.value).newbyteorder("<")
        if min(self.shape) < 1 or np.prod(self.shape, dtype=object) > _MAX_ELEMENTS:
            raise site.error(
                f"a feature map of {fm.height} x {fm.width} x {fm.depth} elements cannot be "
                f"processed (1 to {_MAX_ELEMENTS} elements)"
            )
        self.region = fm.region
        self.pieces = tuple(_pieces(fm))
        for piece in self.pieces:
            first, last = piece.extent
            layout.check(fm.region, first, last + fm.dtype.bytes, site, writing=writing)

    @property
    def linear(self) -> bool:
        """Whether it is in one tile. An incomplete last brick then follows the complete ones."""
        height, width, _ = self.shape
        return self.pieces[0].shape[:2] == (height, width)

    @property
    def extents(self) -> tuple[int, tuple[tuple[int, int], ...]]:
        """The region, and the first byte and the end of each piece."""
        return self.region, _extents(self.pieces, self.dtype.itemsize)

    def read(self, memory: Memory) -> Array:
        """The feature map as `[rows or 1, height, width, depth]`; often a view, do not keep it."""
        region = memory[self.region]
        if len(self.pieces) == 1:
            view = self._view(region, self.pieces[0])
            return view.reshape(len(region), *self.shape)
        result = np.empty((len(region), *self.shape), self.dtype)
        for piece in self.pieces:
            view = self._view(region, piece)
            # Splitting the last axis of a slice is still a view.
            _bricks(result[_rows_of(piece)], view.shape)[...] = view
        return result

    def write(self, memory: Memory, values: Array) -> None:
        """Store `values`, `[rows or 1, height, width, depth]`, converted as in C."""
        region = memory[self.region]
        for piece in self.pieces:
            view = self._view(region, piece)
            part = values[_rows_of(piece)]
            np.copyto(view, _bricks(part, (len(part), *view.shape[1:])), casting="unsafe")

    def _view(self, region: Array, piece: Piece) -> Array:
        # `__init__` has checked every piece, so the view stays within the region. An index
        # slice keeps the base pointer right whatever the region itself is a view of.
        start = region[:, piece.base : piece.base + self.dtype.itemsize]
        return as_strided(
            start.view(self.dtype),
            (len(region), *piece.shape),
            (region.strides[0], *piece.strides),
        )


def extents_of(fm: FeatureMap) -> tuple[tuple[int, int], ...]:
    """The first byte and the end, within its region, of each piece of a feature map; unchecked."""
    return _extents(_pieces(fm), fm.dtype.bytes)


def _extents(pieces: Iterable[Piece], size: int) -> tuple[tuple[int, int], ...]:
    return tuple((first, last + size) for first, last in (piece.extent for piece in pieces))


def _rows_of(piece: Piece) -> tuple[slice, ...]:
    """The piece's window in an array `[rows, height, width, depth]`."""
    return (slice(None), *piece.window)


def _bricks(part: Array, shape: tuple[int, ...]) -> Array:
    """`part` with its channels split as in `shape`."""
    if part.ndim == len(shape):
        return part
    steps = (*part.strides[:-1], BRICK_CHANNELS * part.strides[-1], part.strides[-1])
    return as_strided(part, shape, steps)


def _pieces(fm: FeatureMap) -> Iterator[Piece]:
    for rows, columns, base in _tiles(fm):
        size = (rows.stop - rows.start, columns.stop - columns.start)
        steps = (fm.stride_y, fm.stride_x)
        item = fm.dtype.bytes
        if fm.layout is Layout.NHWC:
            # The NPU assumes adjacent channels here, whatever STRIDE_C says.
            channels = slice(0, fm.depth)
            yield Piece((rows, columns, channels), base, (*size, fm.depth), (*steps, item))
            continue
        full = fm.depth // BRICK_CHANNELS
        if full:
            channels = slice(0, full * BRICK_CHANNELS)
            strides = (*steps, fm.stride_c, item)
            yield Piece((rows, columns, channels), base, (*size, full, BRICK_CHANNELS), strides)
        rest = fm.depth % BRICK_CHANNELS
        if rest:
            channels = slice(full * BRICK_CHANNELS, fm.depth)
            start = base + full * fm.stride_c
            yield Piece((rows, columns, channels), start, (*size, rest), (*steps, item))


def _tiles(fm: FeatureMap) -> Iterator[tuple[slice, slice, int]]:
    """Rows, columns and base of each tile that the feature map reaches."""
    left = min(fm.width, fm.tile_width0)
    for columns, height0, bases in (
        (slice(0, left), fm.tile_height0, (fm.bases[0], fm.bases[2])),
        (slice(left, fm.width), fm.tile_height1, (fm.bases[1], fm.bases[3])),
    ):
        if columns.start == columns.stop:
            continue
        cuts = (0, min(fm.height, height0), fm.height)
        for (first, end), base in zip(pairwise(cuts), bases, strict=True):
            if first < end:
                yield slice(first, end), columns, base
