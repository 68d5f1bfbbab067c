"""How the NPU cuts an operation into blocks, and what each block moves over the AXI ports.

Pure functions on arrays: an operation has one `BlockGrid`, and each purpose (IFM, IFM2, OFM) is a
`Transfers` of integer arrays with one entry per block, so no block costs Python time. `network.py`
adds them up; the cycle model reads them block by block.

The rules and their sources:

- Blocks are visited along the depth first, then along the width, then down the height. Vela relies
  on that order when it derives BLOCKDEP (`get_offset_block_coords` in
  `register_command_stream_util.py`, `GetJobs` in regor's `ethos_u55_register_cs_generator.cpp`).
- A block of a convolution or a REDUCE_SUM needs the IFM at its full depth, in IFM blocks of 32
  channels (16 if part-kernel first or a 16-bit IFM: `calc_ifm_block_depth` in Vela's
  `architecture_features.py`), and reads it again for every OFM depth block. Depthwise, pooling
  and elementwise blocks need their own channels (`measure_element_access`, `npu_performance.py`).
- There is an exception. The IFM buffer holds two IFM blocks. If a block needs no more than these,
  they stay for the OFM depth blocks that follow. Neither of Vela's estimates models this. It is
  inferred from published FVP counts: see `_stays_in_shram`.
- A kernel larger than 8 x 8 (dilated) is split into sub-kernels of at most 8 x 8. Each of them
  fetches its own part of the IFM, overlap included (`MeasureElementAccess` in regor's
  `ethos_u55_performance.cpp` multiplies by their number).
- Padding is never fetched: what a block needs is clipped to the feature map.

With these rules and those of `axi_runs.py`, the counts equal the published FVP counts of
`kws_micronet_m` beat for beat in all four MAC configurations
(`tests/integration/test_simulator_traffic.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Elementwise,
    Pool,
    PoolMode,
    Upscale,
)
from targets.ethos_u55.kernels import sub_kernel_step
from targets.ethos_u55.ports import BURST_BYTES
from targets.ethos_u55.shram import IFM_BUFFERS
from targets.ethos_u55.tensors import BRICK_CHANNELS
from targets.ethos_u55.weights import ifm_block_channels
from targets.simulator.traffic.axi_runs import Intervals, Transfers, transfers

__all__ = [
    "BlockGrid",
    "block_grid",
    "ifm2_reads",
    "ifm_block_depth",
    "ifm_reads",
    "jobs_per_block",
    "ofm_writes",
]


@dataclass(frozen=True)
class BlockGrid:
    """The OFM blocks of an operation: the product of three cuts, in elements of the OFM.

    Arrays over blocks have the shape `[rows, columns, depths]`; flattened in C order they are
    in the NPU's order of execution.
    """

    rows: Intervals
    columns: Intervals
    depths: Intervals

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of blocks down the height, along the width and through the depth."""
        return self.rows.count, self.columns.count, self.depths.count

    @property
    def count(self) -> int:
        """Number of blocks."""
        return self.spatial_count * self.depths.count

    @property
    def spatial_count(self) -> int:
        """Number of blocks in one layer of the OFM: how often weights and scales are streamed."""
        return self.rows.count * self.columns.count


def block_grid(operation: BlockOperation) -> BlockGrid:
    """How the OFM of `operation` is cut by its block configuration."""
    ofm, block = operation.ofm, operation.block
    return BlockGrid(
        Intervals.cut(ofm.height, block.height),
        Intervals.cut(ofm.width, block.width),
        Intervals.cut(ofm.depth, block.depth),
    )


def ifm_block_depth(operation: BlockOperation) -> int:
    """The channels of one IFM block if the IFM is read at full depth."""
    return ifm_block_channels(operation.weight_order, 8 * operation.ifm.dtype.bytes)


def jobs_per_block(operation: BlockOperation) -> int:
    """The number of IFM blocks that one OFM block needs: sub-kernels x IFM depth blocks."""
    return _sub_kernel_count(operation) * _ifm_depth_blocks(operation)


def ifm_reads(operation: BlockOperation, burst: int = BURST_BYTES) -> Transfers:
    """What each block reads of the IFM: every IFM block of every sub-kernel.

    A block reads nothing if everything it needs is still in SHRAM.
    """
    grid, ifm = block_grid(operation), operation.ifm
    kernel, padding = operation.kernel, operation.padding
    rows = _needed(
        grid.rows,
        _sub_kernels(kernel.height, kernel.dilation_y),
        stride=kernel.stride_y,
        padding=padding.top,
        upscale=operation.upscale,
    ).clipped(ifm.height)
    columns = _needed(
        grid.columns,
        _sub_kernels(kernel.width, kernel.dilation_x),
        stride=kernel.stride_x,
        padding=padding.left,
        upscale=operation.upscale,
    ).clipped(ifm.width)
    if not _reads_full_depth(operation):
        return transfers(ifm, rows, columns, grid.depths, burst=burst)
    parts = Intervals.cut(ifm.depth, ifm_block_depth(operation))
    once = transfers(ifm, rows, columns, parts, burst=burst)
    fetches = np.ones(grid.depths.count, dtype=np.int64)
    if _stays_in_shram(operation):
        fetches[1:] = 0
    return Transfers(
        *(
            part.sum(axis=2, keepdims=True) * fetches
            for part in (once.bytes, once.beats, once.bursts)
        )
    )


def ifm2_reads(operation: BlockOperation, burst: int = BURST_BYTES) -> Transfers | None:
    """What each block reads of the second operand; None if there is none in memory.

    Along a dimension that is broadcast there is one element, which every block reads again.
    """
    if not isinstance(operation, Elementwise) or operation.ifm2 is None:
        return None
    grid = block_grid(operation)
    return transfers(
        operation.ifm2,
        _undivided(_operand(grid.rows, broadcast=operation.broadcast_height)),
        _undivided(_operand(grid.columns, broadcast=operation.broadcast_width)),
        _operand(grid.depths, broadcast=operation.broadcast_depth),
        burst=burst,
    )


def ofm_writes(operation: BlockOperation, burst: int = BURST_BYTES) -> Transfers:
    """What each block writes: whole bricks, or NHWC in pieces of at most 16 channels.

    The 16 is from Vela's estimate of NHWC write bursts (`_estimate_memory_transfer_efficiency`).
    """
    grid = block_grid(operation)
    return transfers(
        operation.ofm,
        _undivided(grid.rows),
        _undivided(grid.columns),
        grid.depths,
        longest_piece=BRICK_CHANNELS,
        burst=burst,
    )


def _reads_full_depth(operation: BlockOperation) -> bool:
    """Whether an OFM block depends on all channels of the IFM, not only on its own."""
    return isinstance(operation, Conv) or (
        isinstance(operation, Pool) and operation.mode is PoolMode.REDUCE_SUM
    )


def _ifm_depth_blocks(operation: BlockOperation) -> int:
    if not _reads_full_depth(operation):
        return 1
    return -(-operation.ifm.depth // ifm_block_depth(operation))


def _sub_kernel_count(operation: BlockOperation) -> int:
    down, along = operation.kernel.sub_kernels
    return down * along


def _stays_in_shram(operation: BlockOperation) -> bool:
    """Whether the IFM that was read for one OFM depth block also serves the next.

    Published FVP counts show that two sub-kernels of one IFM depth block are read again every time
    (`kws_micronet_m`, beat for beat). One IFM depth block is not read again: otherwise the rebuilt
    `mobilenet_v2_1.0_224`, with weights 4 % too small, would read 3.5 to 4.5 % too much on AXI0.
    Two are not read again either: the rebuilt `rnnoise` reads 12 beats less with 64 MACs than with
    32, as published; if only one stayed, it would be 18.
    """
    return _sub_kernel_count(operation) == 1 and _ifm_depth_blocks(operation) <= IFM_BUFFERS


def _sub_kernels(size: int, dilation: int) -> Intervals:
    """The parts of a kernel along one axis, in elements of the IFM."""
    taps = Intervals.cut(size, sub_kernel_step(dilation))
    return Intervals(taps.start * dilation, (taps.stop - 1) * dilation + 1)


def _needed(
    blocks: Intervals, parts: Intervals, *, stride: int, padding: int, upscale: Upscale
) -> Intervals:
    """What each block needs of the stored IFM along one axis, padding included.

    Shape `[blocks, parts]`, one part for each sub-kernel. With upscaling, one stored row or column
    serves for two.
    """
    first = blocks.start[:, None] * stride - padding + parts.start
    stop = (blocks.stop[:, None] - 1) * stride - padding + parts.stop
    if upscale is Upscale.NONE:
        return Intervals(first, stop)
    return Intervals(first // 2, -(-stop // 2))


def _operand(blocks: Intervals, *, broadcast: bool) -> Intervals:
    """What each block needs of the second operand along one axis."""
    if not broadcast:
        return blocks
    return Intervals(np.zeros_like(blocks.start), np.ones_like(blocks.stop))


def _undivided(blocks: Intervals) -> Intervals:
    """`[n]` intervals as `[n, 1]`: each is one part."""
    return Intervals(blocks.start[:, None], blocks.stop[:, None])
