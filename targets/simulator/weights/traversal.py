"""The order in which the NPU expects the weights of a layer.

From the outermost loop to the innermost: OFM block, IFM block, sub-kernel of at most 8 x 8
(counted in dilated rows and columns), then

* depth first: OFM micro-block, kernel element, IFM micro-block;
* part kernel first: IFM micro-block, OFM micro-block, kernel element;
* depthwise: OFM micro-block, kernel element;

and innermost the output channels of the OFM micro-block and the input channels of the IFM
micro-block. What does not divide evenly is padded with zeros.

The order and its constants were read off the behaviour of `mlw_codec.reorder_encode` in the wheel
of Vela 5.2.0; the tests compare with it. Micro-blocks are from Vela's `architecture_features.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.core.rounding import round_up
from targets.artefact.stream.operations import Conv, Depthwise
from targets.ethos_u55.kernels import sub_kernel_step
from targets.ethos_u55.micro_blocks import IFM_MICRO_BLOCK_DEPTH, ofm_micro_block
from targets.ethos_u55.weights import WeightOrder, ifm_block_channels, kernel_step

__all__ = [
    "Shape",
    "Traversal",
    "stream_indices",
    "stream_length",
    "traversal_of",
    "traversal_problem",
]

#: Weight shape: output channels, kernel height, kernel width, input channels.
Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Traversal:
    """Everything the weight order depends on besides the shape. Hashable.

    `block_depth` is the channel count of an OFM block, `ifm_bits` 8 or 16, a dilation 1 or 2,
    `macs` the accelerator's 8-bit multiply-accumulates per cycle, one of `MAC_COUNTS`.
    """

    order: WeightOrder
    block_depth: int
    ifm_bits: int
    dilation_y: int
    dilation_x: int
    macs: int

    @property
    def ofm_micro_block(self) -> int:
        """Output channels of an OFM micro-block."""
        return ofm_micro_block(self.macs).depth

    @property
    def ifm_block(self) -> int:
        """Input channels of an IFM block."""
        return ifm_block_channels(self.order, self.ifm_bits)

    @property
    def kernel_step(self) -> int:
        """The elements of a sub-kernel are padded to a multiple of this."""
        return kernel_step(self.order, self.ifm_bits)


def traversal_of(operation: Conv | Depthwise, macs: int) -> Traversal:
    """The traversal that a decoded operation implies on an accelerator of `macs`."""
    kernel = operation.kernel
    return Traversal(
        order=operation.weight_order,
        block_depth=operation.block.depth,
        ifm_bits=8 * operation.ifm.dtype.bytes,
        dilation_y=kernel.dilation_y,
        dilation_x=kernel.dilation_x,
        macs=macs,
    )


def traversal_problem(shape: Shape, traversal: Traversal) -> str | None:
    """Why the NPU has no such traversal; None if it has one."""
    micro, depth = traversal.ofm_micro_block, traversal.block_depth
    if min(shape) < 1:
        return "a dimension is empty"
    if traversal.order is WeightOrder.DEPTHWISE and shape[3] != 1:
        return "a depthwise kernel has one input channel"
    if traversal.ifm_bits not in (8, 16):
        return f"weights cannot be applied to inputs of {traversal.ifm_bits} bits"
    if not {traversal.dilation_y, traversal.dilation_x} <= {1, 2}:
        return "a dilation is neither 1 nor 2"
    if depth < 1 or (depth < shape[0] and depth % micro):
        return f"blocks of {depth} output channels do not consist of micro-blocks of {micro}"
    return None


def stream_length(shape: Shape, traversal: Traversal) -> int:
    """How many weights the stream of a layer of `shape` holds, padding included.

    `traversal_problem` must be None, as for `stream_indices`.
    """
    outputs, height, width, inputs = shape
    depth, micro = traversal.block_depth, traversal.ofm_micro_block
    channels = outputs // depth * round_up(depth, micro) + round_up(outputs % depth, micro)
    elements = sum(
        rows * columns * round_up(h * w, traversal.kernel_step)
        for h, rows in _parts(height, sub_kernel_step(traversal.dilation_y))
        for w, columns in _parts(width, sub_kernel_step(traversal.dilation_x))
    )
    return channels * elements * _padded_inputs(inputs, traversal)


def stream_indices(shape: Shape, traversal: Traversal) -> NDArray[np.int32]:
    """Where each weight of the stream belongs.

    Args:
        shape: `(O, H, W, I)`; `I` is 1 for a depthwise layer.
        traversal: the order.

    Returns:
        int32 `[stream_length(shape, traversal)]`: index into the flattened `[O, H, W, I]`
        weights, or -1 where the stream holds padding.
    """
    outputs, height, width, inputs = shape
    channel = height * width * inputs

    def ofm_block(depth: int) -> NDArray[np.int32]:
        blocks = [
            _repeat(_ifm_block(shape, depth, size, traversal), count, traversal.ifm_block)
            for size, count in _parts(inputs, traversal.ifm_block)
        ]
        # The smaller last block starts where the full ones end.
        return _join(blocks, inputs // traversal.ifm_block * traversal.ifm_block)

    parts = [
        _repeat(ofm_block(size), count, traversal.block_depth * channel)
        for size, count in _parts(outputs, traversal.block_depth)
    ]
    return _join(parts, outputs // traversal.block_depth * traversal.block_depth * channel)


def _ifm_block(shape: Shape, depth: int, inputs: int, traversal: Traversal) -> NDArray[np.int32]:
    """The stream of one IFM block of one OFM block, from the given input and output channel on."""
    _, height, width, row_inputs = shape
    step_y, step_x = sub_kernel_step(traversal.dilation_y), sub_kernel_step(traversal.dilation_x)
    # Each of the five axes of a sub-kernel contributes its offset and its validity; the axes
    # are named m (micro-block of outputs), k (kernel element), n (micro-block of inputs),
    # o and i (channels within the micro-blocks).
    micro = traversal.ofm_micro_block
    out_m, out_o = np.arange(0, depth, micro), np.arange(micro)
    if traversal.order is WeightOrder.DEPTHWISE:
        in_n, in_i = np.zeros(1, np.int64), np.zeros(1, np.int64)
    else:
        in_n = np.arange(0, _padded_inputs(inputs, traversal), IFM_MICRO_BLOCK_DEPTH)
        in_i = np.arange(IFM_MICRO_BLOCK_DEPTH)
    output = (out_m[:, None] + out_o)[:, None, None, :, None]
    input_ = (in_n[:, None] + in_i)[None, None, :, None, :]
    channel_offset = output * (height * width * row_inputs) + input_
    channel_valid = (output < depth) & (input_ < inputs)

    parts = []
    for y in range(0, height, step_y):
        rows = min(step_y, height - y)
        for x in range(0, width, step_x):
            columns = min(step_x, width - x)
            element = np.arange(round_up(rows * columns, traversal.kernel_step))
            offset = ((y + element // columns) * width + x + element % columns) * row_inputs
            offset = offset[None, :, None, None, None]
            valid = (element < rows * columns)[None, :, None, None, None]
            index = np.where(channel_valid & valid, channel_offset + offset, -1)
            if traversal.order is WeightOrder.PART_KERNEL:
                index = index.transpose(2, 0, 1, 3, 4)
            parts.append(index.astype(np.int32).ravel())
    return np.concatenate(parts)


def _padded_inputs(inputs: int, traversal: Traversal) -> int:
    """Input channels including padding; one for depthwise."""
    if traversal.order is WeightOrder.DEPTHWISE:
        return 1
    if traversal.order is WeightOrder.PART_KERNEL:
        return round_up(inputs, IFM_MICRO_BLOCK_DEPTH)
    return round_up(inputs, traversal.ifm_block)


def _parts(total: int, size: int) -> Iterator[tuple[int, int]]:
    """`total` cut into pieces of `size` as `(size, count)`, then the rest as `(rest, 1)`."""
    if total >= size:
        yield size, total // size
    if total % size:
        yield total % size, 1


def _repeat(pattern: NDArray[np.int32], count: int, step: int) -> NDArray[np.int32]:
    """`pattern` repeated `count` times, each `step` after the last; padding stays padding."""
    if count == 1:
        return pattern
    steps = np.arange(count, dtype=np.int32)[:, None] * np.int32(step)
    return np.where(pattern < 0, pattern, pattern + steps).ravel()


def _join(parts: list[NDArray[np.int32]], offset: int) -> NDArray[np.int32]:
    """The full blocks followed by the rest, which starts at `offset`."""
    if len(parts) == 1:
        return parts[0]
    full, rest = parts
    return np.concatenate([full, np.where(rest < 0, rest, rest + np.int32(offset))])
