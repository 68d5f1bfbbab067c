"""Where the kernel of a multiplication finds everything: its tables, from the shapes alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.core.arrays import Array
from targets.artefact.stream.operations import Kernel
from targets.simulator.execution.feature_maps import Piece
from targets.simulator.execution.windows import WindowedInput
from targets.simulator.native.kernels import LANES, PIECE_FIELDS, Dot

__all__ = ["block_table", "packed", "padded", "piece_table", "position_table", "steps_of"]

Ints = NDArray[np.int64]


def steps_of(source: WindowedInput, kernel: Kernel, weights: Ints, dot: Dot) -> tuple[Ints, Ints]:
    """Bytes from a window's start to each step, and the weights `[steps, O, elements of a step]`.

    `weights` are int64 `[O, H, W, I]`. What a step has beyond a line of the window has weight 0.
    """
    depth, width = source.port.shape[2], source.size[1]
    outputs, height, columns, inputs = weights.shape
    line = width * depth * kernel.dilation_y
    if dot is not Dot.CHANNELS and kernel.dilation_x == 1:
        # A line of the window has no gaps.
        weights = weights.reshape(outputs, height, 1, columns * inputs)
        columns, inputs = 1, columns * inputs
    parts = -(-inputs // dot.step)
    filled = np.zeros((outputs, height, columns, parts * dot.step), np.int64)
    filled[..., :inputs] = weights
    y, x = np.arange(height)[:, None, None], np.arange(columns)[:, None]
    offsets = y * line + x * depth * kernel.dilation_x + np.arange(parts) * dot.step
    by_step = filled.reshape(outputs, -1, dot.step).transpose(1, 0, 2)
    return (offsets * dot.input_bytes).astype(np.int64).ravel(), by_step


def packed(by_step: Ints, channels: int, blocks: int, dot: Dot) -> Array:
    """Weights in the kernel's order: `[groups, steps, blocks, 16, elements of a step]`."""
    steps, outputs, size = by_step.shape
    filled = np.zeros((steps, channels, size), np.int8 if dot.weight_bytes == 1 else np.int16)
    filled[:, :outputs] = by_step
    grouped = filled.reshape(steps, -1, blocks * LANES * size)
    return np.ascontiguousarray(grouped.transpose(1, 0, 2))


def padded(values: Array, channels: int) -> Array:
    """`[O]` as `[channels]`, with zeros at the end."""
    result = np.zeros(channels, values.dtype)
    result[: len(values)] = values
    return result


def block_table(depth: int, strides: tuple[int, ...], channels: int) -> tuple[Ints, Ints]:
    """Of each 16 channels: bytes from a position of the OFM, and how many there are.

    `depth` of the `channels` exist. `strides` are those of a piece, or of an array `[h, w, c]`.
    """
    first = np.arange(0, channels, LANES, dtype=np.int64)
    # Bricks have as many channels as a vector has lanes.
    step = strides[2] if len(strides) == 4 else LANES
    return first // LANES * step, np.clip(depth - first, 0, LANES)


def position_table(shape: tuple[int, int], rows: int, row: int, y: int, x: int) -> Ints:
    """The byte of each position of `rows` feature maps, from strides: int64 `[rows * h * w]`."""
    height, width = shape
    lines = np.arange(rows)[:, None, None] * row + np.arange(height)[:, None] * y
    return np.asarray(lines + np.arange(width) * x, np.int64).ravel()


def piece_table(source: WindowedInput, item: int) -> Ints:
    """How to copy the IFM into the scratch memory, `[pieces, PIECE_FIELDS]`.

    There it is an array `[height, width, depth]` of elements of `item` bytes, padding included.
    """
    _, width = source.size
    top, left = source.corner
    depth = source.port.shape[2]

    def entry(piece: Piece) -> list[int]:
        rows, columns, channels = piece.window
        place = ((rows.start + top) * width + columns.start + left) * depth + channels.start
        shape, strides = list(piece.shape), list(piece.strides)
        if len(shape) == 3:
            shape.insert(2, 1)
            strides.insert(2, 0)
        lines, count, bricks, run = shape
        if bricks == 1 and strides[1] == run == depth:
            # Adjacent columns are one run.
            count, run = 1, count * run
        target = [place, width * depth, depth, LANES]
        return [piece.base, lines, count, bricks, run, *strides[:3], *(item * n for n in target)]

    table = np.array([entry(piece) for piece in source.port.pieces], np.int64)
    assert table.shape[1] == PIECE_FIELDS
    return table
