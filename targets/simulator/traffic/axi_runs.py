"""What reading or writing a part of a feature map costs on an AXI port.

A part is moved as *runs*: consecutive bytes in one row of one piece of the depth. A run costs every
aligned 8-byte beat that it touches. Rows are never joined, even if they are adjacent (the published
counts of `kws_micronet_m` show this: its 10-byte input rows cost two beats each). NHCWB16 moves
whole bricks of 16 channels, however few of them are used. NHWC moves one run per row if a piece has
all the channels, otherwise one run per element.

Pure NumPy; nothing here knows operations or blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from targets.artefact.stream.operations import FeatureMap, Layout
from targets.ethos_u55.ports import BEAT_BYTES, BURST_BYTES
from targets.ethos_u55.tensors import BRICK_CHANNELS

__all__ = [
    "Intervals",
    "Ints",
    "Transfers",
    "run_cost",
    "transfers",
]

Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Intervals:
    """Half-open intervals `[start, stop)` along one axis; two int64 arrays of one shape."""

    start: Ints
    stop: Ints

    @property
    def count(self) -> int:
        """Number of intervals."""
        return self.start.size

    @property
    def sizes(self) -> Ints:
        """Length of each interval, elements."""
        return self.stop - self.start

    @classmethod
    def cut(cls, extent: int, step: int) -> Intervals:
        """`[0, extent)` in pieces of `step`; the last may be smaller; shape `[n]`."""
        start = np.arange(0, extent, step, dtype=np.int64)
        return cls(start, np.minimum(start + step, extent))

    def clipped(self, extent: int) -> Intervals:
        """The part of every interval within `[0, extent)`; intervals outside become empty."""
        start = np.clip(self.start, 0, extent)
        return Intervals(start, np.clip(self.stop, start, extent))


@dataclass(frozen=True)
class Transfers:
    """What the blocks of an operation move for one purpose; int64, `[rows, columns, depths]`.

    `bytes` are those requested (whole bricks), `beats` the aligned 8-byte beats that they touch,
    and `bursts` the aligned windows of the longest burst, which are AXI transactions. It is
    inferred, not published, that a burst never crosses such a boundary.
    """

    bytes: Ints
    beats: Ints
    bursts: Ints


def run_cost(address: Ints, length: Ints, burst: int = BURST_BYTES) -> Ints:
    """Bytes, beats and bursts of runs; `[3, ...]`. An empty run costs nothing.

    `address` and `length` are bytes and must broadcast against each other; `burst` is the longest
    burst in bytes.
    """
    address, length = np.broadcast_arrays(address, length)
    last = address + length - 1
    cost = np.stack(
        [
            length,
            last // BEAT_BYTES - address // BEAT_BYTES + 1,
            last // burst - address // burst + 1,
        ]
    )
    return np.where(length > 0, cost, 0)


def transfers(
    fm: FeatureMap,
    rows: Intervals,
    columns: Intervals,
    depths: Intervals,
    *,
    longest_piece: int | None = None,
    burst: int = BURST_BYTES,
) -> Transfers:
    """Cost of the product of `rows` x `columns` x `depths`, in elements of `fm`.

    `rows` has shape `[r, i]` and `columns` `[c, j]`: r x c areas, each moved in i x j parts. Where
    parts overlap, the data are moved again. `depths` has shape `[d]`, none of them empty. The
    result has shape `[r, c, d]`. `longest_piece` limits the channels of an NHWC run.
    """
    if fm.layout is Layout.NHCWB16:
        pieces = Intervals.cut(fm.depth, BRICK_CHANNELS)
        offsets = pieces.start // BRICK_CHANNELS * fm.stride_c
        lengths = np.full_like(offsets, BRICK_CHANNELS * fm.dtype.bytes)
        owners = Intervals(depths.start // BRICK_CHANNELS, -(-depths.stop // BRICK_CHANNELS))
    else:
        pieces, owners = _subdivided(depths, longest_piece)
        offsets = pieces.start * fm.dtype.bytes
        lengths = pieces.sizes * fm.dtype.bytes
    contiguous = bool(np.all(lengths == fm.stride_x))
    cost_of = _runs_along_row if contiguous else _run_each_element
    cost = cost_of(fm, columns, offsets, lengths, burst)
    cost = _summed(cost, rows, axis=1).sum(axis=2)
    cost = cost.reshape(3, -1, *columns.start.shape, offsets.size).sum(axis=3)
    return Transfers(*_summed(cost, owners, axis=3))


def _subdivided(depths: Intervals, longest: int | None) -> tuple[Intervals, Intervals]:
    """Pieces of each interval, and for each interval which of the pieces belong to it."""
    if longest is None:
        index = np.arange(depths.count + 1)
        return depths, Intervals(index[:-1], index[1:])
    counts = -(-depths.sizes // longest)
    stop = np.cumsum(counts)
    within = np.arange(counts.sum()) - np.repeat(stop - counts, counts)
    start = np.repeat(depths.start, counts) + within * longest
    end = np.minimum(start + longest, np.repeat(depths.stop, counts))
    return Intervals(start, end), Intervals(stop - counts, stop)


def _summed(cost: Ints, intervals: Intervals, *, axis: int) -> Ints:
    """Sums of `cost` over intervals of one axis; the intervals' shape replaces that axis."""
    total = np.cumsum(cost, axis=axis)
    total = np.concatenate([np.zeros_like(np.take(total, [0], axis=axis)), total], axis=axis)
    sums: Ints = np.take(total, intervals.stop, axis=axis) - np.take(
        total, intervals.start, axis=axis
    )
    return sums


def _runs_along_row(
    fm: FeatureMap, columns: Intervals, offsets: Ints, lengths: Ints, burst: int
) -> Ints:
    """Cost of one run for each row, column interval and piece: `[3, height, c * j, pieces]`."""
    flat = Intervals(columns.start.ravel(), columns.stop.ravel())
    parts = [flat]
    if fm.tile_width0 < fm.width:
        edge = fm.tile_width0
        parts = [
            Intervals(np.minimum(flat.start, edge), np.minimum(flat.stop, edge)),
            Intervals(np.maximum(flat.start, edge), np.maximum(flat.stop, edge)),
        ]
    cost = [
        run_cost(
            _addresses(fm, part.start)[:, :, None] + offsets, part.sizes[:, None] * lengths, burst
        )
        for part in parts
    ]
    total: Ints = np.sum(cost, axis=0)
    return total


def _run_each_element(
    fm: FeatureMap, columns: Intervals, offsets: Ints, lengths: Ints, burst: int
) -> Ints:
    """Like `_runs_along_row`, with one run per element: `[3, height, c * j, pieces]`."""
    elements = _addresses(fm, np.arange(fm.width))[:, :, None] + offsets
    flat = Intervals(columns.start.ravel(), columns.stop.ravel())
    return _summed(run_cost(elements, lengths, burst), flat, axis=2)


def _addresses(fm: FeatureMap, columns: Ints) -> Ints:
    """Byte address of channel 0 in all rows of the given columns: `[height, columns]`."""
    y = np.arange(fm.height, dtype=np.int64)[:, None]
    right = columns >= fm.tile_width0
    edge = np.where(right, fm.tile_height1, fm.tile_height0)
    lower = y >= edge
    base = np.asarray(fm.bases, dtype=np.int64)[2 * lower + right]
    inner_y = y - np.where(lower, edge, 0)
    inner_x = columns - np.where(right, fm.tile_width0, 0)
    address: Ints = base + inner_y * fm.stride_y + inner_x * fm.stride_x
    return address
