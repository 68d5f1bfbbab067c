"""Whether machine code computes what it should: each kernel is tried once, on extreme values.

An instruction that saturates, or a fault of the compiler, would show here and not in a verdict.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from bench.core.arrays import Array
from targets.simulator.native.kernels import (
    AXES,
    LANES,
    PIECE_FIELDS,
    Dot,
    Function,
    Kernel,
    Multiplication,
    PairField,
    PairLookup,
    Product,
)
from targets.simulator.weights.bit_string import BitString
from targets.simulator.weights.numbers import read_numbers
from targets.simulator.weights.slices import Palette, Slice

__all__ = ["is_right"]

_STEPS = 5
_GROUPS = 2
_SHIFT = 34
_RAISED = 128


def is_right(kernel: Kernel, function: Function) -> bool:
    """Whether `function` does what `kernel` should."""
    if isinstance(kernel, Multiplication):
        return _multiplies(kernel, function)
    return _looks_up(function) if isinstance(kernel, PairLookup) else _scans(function)


def _multiplies(kernel: Multiplication, function: Function) -> bool:
    """Two rows of an IFM of one line, in which every position has a window of its own."""
    dot, channels = kernel.dot, LANES * kernel.blocks * _GROUPS
    generator = np.random.default_rng(1)
    # The last tile is incomplete, and so is the last vector of channels.
    rows, positions = 2, kernel.positions + 1
    run = _STEPS * (channels if dot is Dot.CHANNELS else dot.step)
    bytes_ = np.array([0, 1, 127, 128, 255], np.uint8)
    ifm = generator.choice(bytes_, (rows, positions * run))
    limits = (-128, 127) if dot is Dot.QUADS else (-255, 255)
    weights = generator.choice([*limits, 1], (_GROUPS, _STEPS, kernel.blocks, LANES, dot.step))
    weights = weights.astype(np.int8 if dot.weight_bytes == 1 else np.int16)
    start = generator.integers(-5000, 5000, channels, np.int32)
    multiplier = generator.integers(1 << 30, (1 << 31) - 1, channels, np.int32)
    before, after = np.full(channels, 1 << 30), np.full(channels, 1 << _SHIFT - 1)
    negative, shift = np.full(channels, -(1 << 31)), np.full(channels, _SHIFT)
    blocks = np.arange(0, channels, LANES)
    counts = np.clip(channels - 3 - blocks, 0, LANES)
    item = dot.input_bytes
    scratch = np.zeros((rows * positions * run + 16 * LANES) * item, np.uint8)
    ofm = np.zeros((rows, positions, channels), np.uint8)
    row, position = np.arange(rows)[:, None], np.arange(positions)
    step_bytes = item * (channels if dot is Dot.CHANNELS else dot.step)
    tables = {
        Product.SOURCE: ifm,
        Product.PIECE_TABLE: np.array([[0, 1, 1, 1, positions * run, *[0] * 7]], np.int64),
        Product.SCRATCH: scratch,
        Product.TARGET: ofm,
        Product.INPUT_OFFSETS: (row * positions + position) * run * item,
        Product.OUTPUT_OFFSETS: (row * positions + position) * channels,
        Product.STEP_OFFSETS: np.arange(_STEPS) * step_bytes,
        Product.WEIGHTS: weights,
        Product.START: start,
        Product.MULTIPLIER: multiplier,
        Product.BEFORE: before,
        Product.NEGATIVE: negative,
        Product.AFTER: after,
        Product.SHIFT: shift,
        Product.CHANNEL_OFFSETS: blocks,
        Product.CHANNEL_COUNTS: counts,
    }
    numbers = {
        Product.ROWS: rows,
        Product.CHUNK: rows,
        Product.SOURCE_ROW: ifm.strides[0],
        Product.PIECES: 1,
        Product.SCRATCH_ROW: positions * run * item,
        Product.TARGET_ROW: ofm.strides[0],
        Product.POSITIONS: positions,
        Product.STEPS: _STEPS,
        Product.GROUPS: _GROUPS,
        Product.ZERO_POINT: 3,
        Product.LOW: -100,
        Product.HIGH: 101,
    }
    record = np.zeros(len(Product), np.int64)
    for field, table in tables.items():
        assert table.flags.c_contiguous
        record[field] = table.ctypes.data
    for field, number in numbers.items():
        record[field] = number
    assert tables[Product.PIECE_TABLE].shape[1] == PIECE_FIELDS
    function(record.ctypes.data)
    sums = _sums(kernel, ifm.reshape(rows, positions, -1), weights) + start
    product = sums * multiplier.astype(np.int64) + before
    product += np.where(product < 0, negative, 0)
    values = np.clip(((product + after) >> shift) + 3, -100, 101).astype(np.uint8)
    values[..., channels - 3 :] = 0
    return np.array_equal(ofm, values)


def _sums(kernel: Multiplication, windows: Array, weights: Array) -> NDArray[np.int64]:
    """int64 `[rows, positions, channels]`."""
    if kernel.signed:
        inputs = windows.view(np.int8).astype(np.int64)
        inputs += 0 if kernel.dot is Dot.PAIRS else _RAISED
    else:
        inputs = windows.astype(np.int64)
    # `[steps, elements of a step, channels]`
    factors = np.moveaxis(weights.astype(np.int64), (1, 4), (0, 1)).reshape(
        _STEPS, kernel.dot.step, -1
    )
    if kernel.dot is Dot.CHANNELS:
        return np.asarray(
            (inputs.reshape(*windows.shape[:2], _STEPS, -1) * factors[:, 0]).sum(axis=2)
        )
    return np.asarray(inputs @ factors.reshape(-1, factors.shape[2]))


def _looks_up(function: Function) -> bool:
    """All pairs of bytes."""
    table = np.random.default_rng(2).integers(0, 256, 1 << 16, np.uint8)
    first = np.arange(256, dtype=np.uint8)
    result = np.zeros((256, 256), np.uint8)
    record = np.zeros(PairField.TARGET_STRIDES + AXES, np.int64)
    for field, array in (
        (PairField.TABLE, table),
        (PairField.FIRST, first),
        (PairField.SECOND, first),
        (PairField.TARGET, result),
    ):
        record[field] = array.ctypes.data
    for field, axes in (
        (PairField.SIZES, [1, 1, 1, 256, 256]),
        (PairField.FIRST_STRIDES, [0, 0, 0, 1, 0]),
        (PairField.SECOND_STRIDES, [0, 0, 0, 0, 1]),
        (PairField.TARGET_STRIDES, [0, 0, 0, 256, 1]),
    ):
        record[field : field + AXES] = axes
    function(record.ctypes.data)
    return np.array_equal(result.ravel(), table)


def _scans(function: Function) -> bool:
    """Slices of random bits, with and without quotients, zero runs and truncation."""
    bits = BitString(np.random.default_rng(3).integers(0, 256, 600, np.uint8))
    palette = Palette(np.zeros(0, np.int64), direct=0, bits=6, zero_runs=True)
    for uncompressed, truncated, zero_divisor in product((True, False), (True, False), (None, 2)):
        header = Slice(
            weights=200,
            divisor=3,
            uncompressed=uncompressed,
            truncated=truncated,
            zero_divisor=zero_divisor,
            runs=0 if zero_divisor is None else 201,
            palette=palette,
        )
        *expected, end = read_numbers(bits, 5, header, None)
        *found, scanned = read_numbers(bits, 5, header, function)
        numbers = zip(expected, found, strict=True)
        if end != scanned or not all(np.array_equal(a, b) for a, b in numbers):
            return False
    return True
