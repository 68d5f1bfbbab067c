"""A convolution, a depthwise convolution or a sum, by machine code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.core.arrays import Array
from targets.artefact.stream.operations import ActivationFunction, Kernel
from targets.simulator.execution.activation import Activator
from targets.simulator.execution.arithmetic import rounding_terms
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.memory import Memory
from targets.simulator.execution.output_stage import Scaling
from targets.simulator.execution.window_tables import (
    block_table,
    packed,
    padded,
    piece_table,
    position_table,
    steps_of,
)
from targets.simulator.execution.windows import WindowedInput
from targets.simulator.native.kernels import (
    LANES,
    Dot,
    Function,
    Kernels,
    Multiplication,
    Product,
)

__all__ = ["NativeLayer", "WindowSums"]

Ints = NDArray[np.int64]

#: So many positions are worth a chunk of rows of the batch, if their IFM is not larger than this.
#: It stays in the L1 or L2 cache.
_CHUNK_POSITIONS = 512
_CHUNK_BYTES = 128 << 10
#: Bytes that a step may read behind the last element.
_SLACK = 8 * LANES
_INT32 = 1 << 31
#: By how much signed bytes are raised.
_RAISED = 128


@dataclass(frozen=True)
class WindowSums:
    """What is computed: sums over windows, and what is stored of them."""

    source: WindowedInput
    target: FeatureMapPort
    kernel: Kernel
    #: int64 `[O, H, W, I]`; if `by_channel`, I is 1, and each channel has its own input channel.
    weights: Ints
    by_channel: bool
    #: Of the sums over the stored bytes.
    scaling: Scaling
    activator: Activator
    #: The largest magnitude of a sum, one for all channels or int64 `[O]`.
    bound: int | Ints


class NativeLayer:
    """`WindowSums` with a kernel that computes them."""

    @staticmethod
    def of(sums: WindowSums, kernels: Kernels | None) -> NativeLayer | None:
        """The layer; None without kernels, or if they cannot compute it."""
        if kernels is None or not _suitable(sums) or not _in_range(sums):
            return None
        dot = _dot(sums, kernels)
        blocks, positions = _tile(dot, len(sums.weights), kernels)
        signed = sums.source.dtype.kind == "i"
        kernel = Multiplication(dot, blocks, positions, signed)
        function = kernels.function(kernel)
        return None if function is None else NativeLayer(sums, kernel, function)

    def __init__(self, sums: WindowSums, kernel: Multiplication, function: Function) -> None:
        self._source, self._target = sums.source, sums.target
        self._kernel = sums.kernel
        self._run = function
        self._item = kernel.dot.input_bytes
        raised = _RAISED if kernel.signed and kernel.dot is not Dot.PAIRS else 0
        self._fill = sums.source.fill + raised
        height, width = sums.source.size
        self._row_bytes = height * width * sums.source.port.shape[2] * self._item
        lines, columns, depth = sums.target.shape
        self._positions = lines * columns

        plain = sums.activator.activation.function is ActivationFunction.NONE
        #: From clamped bytes to what is stored, if that is something else.
        self._table = None if plain else _stored(sums)
        #: Whether the OFM is stored where it belongs, because it is linear and needs no table.
        self._direct = plain and sums.target.linear
        first = sums.target.pieces[0]
        strides = first.strides if self._direct else (columns * depth, depth, 1)
        self._strides = strides[:2]
        self._offset = first.base if self._direct else 0
        group = LANES * kernel.blocks
        channels = -(-depth // group) * group
        #: Arrays whose addresses are in the record.
        self._tables = _tables(sums, kernel, raised, channels)
        self._tables[Product.CHANNEL_OFFSETS], self._tables[Product.CHANNEL_COUNTS] = block_table(
            depth, strides, channels
        )
        low, high = sums.activator.clamp or (0, 0)
        numbers = {
            Product.PIECES: len(self._tables[Product.PIECE_TABLE]),
            Product.SCRATCH_ROW: self._row_bytes,
            Product.POSITIONS: self._positions,
            Product.STEPS: len(self._tables[Product.STEP_OFFSETS]),
            Product.GROUPS: channels // group,
            Product.ZERO_POINT: sums.scaling.zero_point,
            Product.LOW: low,
            Product.HIGH: high,
        }
        self._record = np.zeros(len(Product), np.int64)
        _enter(self._record, numbers, self._tables)
        #: Offsets by rows in a chunk and bytes from row to row, which seldom change.
        self._offsets: dict[tuple[int, int], tuple[Ints, Ints]] = {}
        by_bytes = max(1, _CHUNK_BYTES // self._row_bytes)
        self._chunk = min(by_bytes, -(-_CHUNK_POSITIONS // self._positions))
        #: Bytes a row of the batch needs while this runs.
        self.workspace = 0 if self._direct else self._positions * depth

    def run(self, memory: Memory) -> None:
        """Read, multiply, scale and store, for all rows of the batch."""
        source, target = memory[self._source.port.region], memory[self._target.region]
        rows = len(target)
        chunk = min(self._chunk, rows)
        scratch = np.full(
            chunk * self._row_bytes // self._item + _SLACK,
            self._fill,
            np.uint8 if self._item == 1 else np.int16,
        )
        result = target
        if not self._direct:
            result = np.empty((rows, self._positions * self._target.shape[2]), np.uint8)
        inputs, outputs = self._offsets_of(chunk, result.strides[0])
        record = self._record.copy()
        numbers = {
            Product.ROWS: rows,
            Product.CHUNK: chunk,
            # One row of constants serves all.
            Product.SOURCE_ROW: source.strides[0] if len(source) == rows else 0,
            Product.TARGET: result.ctypes.data + self._offset,
            Product.TARGET_ROW: result.strides[0],
        }
        tables: dict[Product, Array] = {
            Product.SOURCE: source,
            Product.SCRATCH: scratch,
            Product.INPUT_OFFSETS: inputs,
            Product.OUTPUT_OFFSETS: outputs,
        }
        _enter(record, numbers, tables)
        self._run(record.ctypes.data)
        if not self._direct:
            stored = result if self._table is None else self._table[result]
            shape = (rows, *self._target.shape)
            self._target.write(memory, stored.view(self._target.dtype).reshape(shape))

    def _offsets_of(self, rows: int, target_row: int) -> tuple[Ints, Ints]:
        """Bytes to the window of each position of `rows` rows, and to its place in the OFM."""
        key = (rows, target_row)
        if key not in self._offsets:
            depth, width = self._source.port.shape[2] * self._item, self._source.size[1]
            y, x = width * depth * self._kernel.stride_y, depth * self._kernel.stride_x
            shape = self._target.shape[:2]
            self._offsets[key] = (
                position_table(shape, rows, self._row_bytes, y, x),
                position_table(shape, rows, target_row, *self._strides),
            )
        return self._offsets[key]


def _suitable(sums: WindowSums) -> bool:
    """Whether the kernel has such windows, and stores such values."""
    source, clamp, weights = sums.source, sums.activator.clamp, sums.weights
    plain = sums.activator.activation.function is ActivationFunction.NONE
    inputs = source.port.shape[2]
    return (
        clamp is not None
        and 0 <= clamp[1] - clamp[0] <= 255
        and (not plain or sums.target.dtype.itemsize == 1)
        and source.dtype.itemsize == 1
        and source.plain
        and source.complete
        and weights.shape[3] == (1 if sums.by_channel else inputs)
        and (not sums.by_channel or inputs == len(weights))
    )


def _in_range(sums: WindowSums) -> bool:
    """Whether sums and results have 32 bits, and weights and multipliers fit the kernel."""
    scaling = sums.scaling.spread(len(sums.weights))
    greatest = sums.bound + np.abs(scaling.bias)
    scaled = greatest * scaling.multiplier.astype(np.float64) / np.exp2(scaling.shift)
    return bool(
        np.max(greatest) < _INT32
        and np.max(scaling.multiplier) < _INT32
        and np.max(scaled) + abs(scaling.zero_point) + 2 < _INT32
        and np.abs(sums.weights).max() < 1 << 15
    )


def _dot(sums: WindowSums, kernels: Kernels) -> Dot:
    """The fastest way to multiply."""
    if sums.by_channel:
        return Dot.CHANNELS
    limits = np.iinfo(np.int8)
    fits = limits.min <= sums.weights.min() and sums.weights.max() <= limits.max
    return Dot.QUADS if kernels.has_quads and fits else Dot.PAIRS


def _tile(dot: Dot, channels: int, kernels: Kernels) -> tuple[int, int]:
    """Blocks of channels, and positions, whose sums fit the registers."""
    if not kernels.has_wide_registers:
        return 1, 4
    if dot is Dot.CHANNELS:
        return 1, 8
    needed = -(-channels // LANES)
    # The fewest blocks in all, then the largest group.
    blocks = min((1, 2, 3, 4), key=lambda n: (-(-needed // n) * n, -n))
    return blocks, 8 if blocks < 3 else 6


def _tables(
    sums: WindowSums, kernel: Multiplication, raised: int, channels: int
) -> dict[Product, Array]:
    """What does not depend on the OFM's layout; channels beyond the last have zeros."""
    scaling = sums.scaling.spread(len(sums.weights))
    before, negative, after = rounding_terms(scaling.shift, scaling.rounding)
    start = scaling.bias - raised * sums.weights.sum(axis=(1, 2, 3))
    steps, weights = steps_of(sums.source, sums.kernel, sums.weights, kernel.dot)
    return {
        Product.PIECE_TABLE: piece_table(sums.source, kernel.dot.input_bytes),
        Product.STEP_OFFSETS: steps,
        Product.WEIGHTS: packed(weights, channels, kernel.blocks, kernel.dot),
        # It may wrap, as the sums may on the way.
        Product.START: padded(start, channels).astype(np.int32),
        Product.MULTIPLIER: padded(scaling.multiplier, channels).astype(np.int32),
        Product.BEFORE: padded(before, channels),
        Product.NEGATIVE: padded(negative, channels),
        Product.AFTER: padded(after, channels),
        Product.SHIFT: padded(scaling.shift, channels),
    }


def _stored(sums: WindowSums) -> Array:
    """What the OFM stores for each byte of a clamped value."""
    low, high = sums.activator.clamp or (0, 0)
    values = np.arange(low, high + 1, dtype=np.int64)
    table = np.zeros(256, sums.target.dtype)
    table[values & 0xFF] = sums.activator(values)
    return table


def _enter(record: Ints, numbers: dict[Product, int], tables: dict[Product, Array]) -> None:
    """Put arguments into their places."""
    for field, number in numbers.items():
        record[field] = number
    for field, table in tables.items():
        record[field] = table.ctypes.data
