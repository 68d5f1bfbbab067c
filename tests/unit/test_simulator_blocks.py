"""Blocks and traffic of single operations, against a walk over every element."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import ConfigError
from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Dma,
    Elementwise,
    ElementwiseMode,
    FeatureMap,
    Irq,
    Kernel,
    Layout,
    OperandScaling,
    Operation,
    Pool,
    PoolMode,
    Scale,
    Upscale,
)
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import PortMap
from targets.simulator.traffic import blocks
from targets.simulator.traffic.axi_runs import Transfers
from targets.simulator.traffic.network import Stream, network_traffic, operation_traffic
from tests.support.streams.block_operations import (
    POINT,
    block_operations,
    common,
    conv,
    feature_map,
)


def address(fm: FeatureMap, y: int, x: int, c: int) -> int:
    """Byte address of one element."""
    right = x >= fm.tile_width0
    edge = fm.tile_height1 if right else fm.tile_height0
    base = fm.bases[2 * (y >= edge) + right]
    place = base + (y - edge * (y >= edge)) * fm.stride_y
    place += (x - fm.tile_width0 * right) * fm.stride_x
    if fm.layout is Layout.NHCWB16:
        return place + c // 16 * fm.stride_c + c % 16 * fm.dtype.bytes
    return place + c * fm.dtype.bytes


def walk(fm: FeatureMap, rows: set[int], columns: set[int], channels: range) -> tuple[int, int]:
    """Bytes and beats of an area, element by element."""
    moved = beats = 0
    bricks = fm.layout is Layout.NHCWB16
    pieces: list[range] = [channels]
    if bricks:
        first, last = channels.start // 16, (channels.stop - 1) // 16
        pieces = [range(16 * b, 16 * b + 16) for b in range(first, last + 1)]
    for y in rows:
        for piece in pieces:
            joined = bricks or len(piece) == fm.depth
            touched: list[tuple[int, int]] = []
            for x in columns:
                tile = int(x >= fm.tile_width0) if joined else x
                for c in piece:
                    at = address(fm, y, x, c)
                    moved += fm.dtype.bytes
                    touched += [(tile, (at + k) // 8) for k in range(fm.dtype.bytes)]
            beats += len(set(touched))
    return moved, beats


def cuts(extent: int, step: int) -> Iterator[range]:
    return (range(at, min(at + step, extent)) for at in range(0, extent, step))


def source(
    block: range, taps: range, stride: int, dilation: int, pad: int, size: int, halves: int
) -> set[int]:
    """Every stored row or column some tap of some output element may need, and those between."""
    first = block[0] * stride + taps[0] * dilation - pad
    last = block[-1] * stride + taps[-1] * dilation - pad
    return {at // halves for at in range(first, last + 1) if 0 <= at < size * halves}


def walked_ifm(operation: BlockOperation) -> list[tuple[int, int]]:
    """Bytes and beats of the IFM for each block in order, by loops."""
    ifm, ofm, kernel, block = operation.ifm, operation.ofm, operation.kernel, operation.block
    full = isinstance(operation, Conv) or (
        isinstance(operation, Pool) and operation.mode is PoolMode.REDUCE_SUM
    )
    part_kernel = isinstance(operation, Conv) and kernel.part_kernel_first
    chunk = 16 if part_kernel or ifm.dtype.bytes == 2 else 32
    halves = 1 if operation.upscale is Upscale.NONE else 2
    limit = 8 // kernel.dilation_y
    counts = []
    for rows in cuts(ofm.height, block.height):
        for columns in cuts(ofm.width, block.width):
            held: set[tuple[range, range, range]] = set()
            for channels in cuts(ofm.depth, block.depth):
                moved = beats = 0
                needed = list(cuts(ifm.depth, chunk)) if full else [channels]
                taps = [
                    (ky, kx)
                    for ky in cuts(kernel.height, limit)
                    for kx in cuts(kernel.width, limit)
                ]
                jobs = {(ky, kx, part) for ky, kx in taps for part in needed}
                kept = full and len(taps) == 1 and len(needed) <= 2 and jobs <= held
                for ky, kx, part in () if kept else jobs:
                    y = source(
                        rows, ky, kernel.stride_y, kernel.dilation_y,
                        operation.padding.top, ifm.height, halves,
                    )  # fmt: skip
                    x = source(
                        columns, kx, kernel.stride_x, kernel.dilation_x,
                        operation.padding.left, ifm.width, halves,
                    )  # fmt: skip
                    one = walk(ifm, y, x, part)
                    moved, beats = moved + one[0], beats + one[1]
                held = jobs
                counts.append((moved, beats))
    return counts


def total(moved: Transfers) -> tuple[int, int]:
    return int(moved.bytes.sum()), int(moved.beats.sum())


@settings(max_examples=80, deadline=None)
@given(block_operations())
def test_every_block_fetches_what_a_walk_over_its_elements_says(
    operation: BlockOperation,
) -> None:
    reads = blocks.ifm_reads(operation)
    found = list(zip(reads.bytes.ravel().tolist(), reads.beats.ravel().tolist(), strict=True))
    assert found == walked_ifm(operation)
    assert reads.bytes.shape == blocks.block_grid(operation).shape


@settings(max_examples=100, deadline=None)
@given(block_operations())
def test_beats_hold_the_bytes_and_bursts_hold_the_beats(operation: BlockOperation) -> None:
    for moved in (blocks.ifm_reads(operation), blocks.ofm_writes(operation)):
        assert np.all(moved.beats * 8 >= moved.bytes)
        assert np.all(moved.bursts * 8 >= moved.beats)
        assert np.all(moved.bursts <= moved.beats)


@settings(max_examples=100, deadline=None)
@given(block_operations())
def test_the_ofm_is_computed_and_written_once(operation: BlockOperation) -> None:
    ofm = operation.ofm
    grid = blocks.block_grid(operation)
    covered = [int(cut.sizes.sum()) for cut in (grid.rows, grid.columns, grid.depths)]
    assert covered == [ofm.height, ofm.width, ofm.depth]
    written = int(blocks.ofm_writes(operation).bytes.sum())
    size = ofm.height * ofm.width * ofm.depth * ofm.dtype.bytes
    # Blocks that share a brick write it twice; nothing else is written more than once.
    if ofm.layout is Layout.NHWC:
        assert written == size
    elif operation.block.depth % 16 == 0 or ofm.depth <= operation.block.depth:
        assert written == -(-ofm.depth // 16) * 16 * size // ofm.depth


@settings(max_examples=100, deadline=None)
@given(block_operations(), st.sampled_from(["height", "width", "depth"]))
def test_a_larger_feature_map_never_reads_less(operation: BlockOperation, dimension: str) -> None:
    def grown(fm: FeatureMap, by: int) -> FeatureMap:
        sizes = {name: getattr(fm, name) for name in ("height", "width", "depth")}
        sizes[dimension] += by
        return feature_map(**sizes, layout=fm.layout, dtype=fm.dtype)

    kernel = operation.kernel
    step = {"height": kernel.stride_y, "width": kernel.stride_x, "depth": 1}[dimension]
    plain = dataclasses.replace(
        operation, upscale=Upscale.NONE, ifm=grown(operation.ifm, 0), ofm=grown(operation.ofm, 0)
    )
    larger = dataclasses.replace(
        plain, ifm=grown(plain.ifm, step), ofm=grown(plain.ofm, 1)
    )  # fmt: skip
    assert blocks.ifm_reads(larger).bytes.sum() >= blocks.ifm_reads(plain).bytes.sum()


@given(
    st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(1, 12)
)
def test_pointwise_in_exact_tiles_reads_the_ifm_once(
    down: int, along: int, height: int, width: int, bricks: int
) -> None:
    ifm = feature_map(down * height, along * width, 16 * bricks)
    ofm = feature_map(down * height, along * width, 32)
    size = ifm.height * ifm.width * ifm.depth
    assert total(blocks.ifm_reads(conv(ifm, ofm, (height, width, 32)))) == (size, size // 8)


@pytest.mark.parametrize(
    ("depth", "part_kernel", "times"),
    [(32, False, 1), (64, False, 1), (65, False, 3), (32, True, 1), (33, True, 3)],
)
def test_an_ifm_of_two_ifm_blocks_stays_for_all_ofm_depth_blocks(
    depth: int, part_kernel: bool, times: int
) -> None:
    kernel = dataclasses.replace(POINT, part_kernel_first=part_kernel)
    ifm, ofm = feature_map(4, 4, depth), feature_map(4, 4, 48)
    reads = blocks.ifm_reads(conv(ifm, ofm, (4, 4, 16), kernel))
    assert reads.bytes.sum() == times * 16 * (-(-depth // 16) * 16)


def test_sub_kernels_are_fetched_for_every_ofm_depth_block() -> None:
    kernel = Kernel(9, 1, 1, 1, 1, 1, part_kernel_first=False)
    ifm, ofm = feature_map(12, 1, 16), feature_map(4, 1, 32)
    operation = conv(ifm, ofm, (4, 1, 16), kernel)
    assert blocks.jobs_per_block(operation) == 2
    # Eight taps need 11 rows, the ninth 4; twice.
    assert blocks.ifm_reads(operation).bytes.tolist() == [[[15 * 16, 15 * 16]]]


def elementwise(broadcast: tuple[bool, bool, bool]) -> Elementwise:
    ofm = feature_map(6, 4, 32)
    sizes = [1 if b else n for b, n in zip(broadcast, (6, 4, 32), strict=True)]
    return Elementwise(
        **common(ofm, ofm, (3, 4, 16)),
        mode=ElementwiseMode.ADD,
        ifm2=feature_map(*sizes, base=1 << 16),
        scalar=None,
        reverse_operands=False,
        broadcast_height=broadcast[0],
        broadcast_width=broadcast[1],
        broadcast_depth=broadcast[2],
        scaling=OperandScaling.BOTH_16BIT,
        opa_scale=Scale(1, 0),
        opb_scale=1,
    )


@pytest.mark.parametrize(
    ("broadcast", "expected"),
    [
        ((False, False, False), 6 * 4 * 32),
        ((True, False, False), 2 * 4 * 32),
        ((True, True, False), 2 * 32),
        # Four blocks, one brick each.
        ((True, True, True), 4 * 16),
    ],
)
def test_the_second_operand_is_read_at_its_own_size(
    broadcast: tuple[bool, bool, bool], expected: int
) -> None:
    operation = elementwise(broadcast)
    reads = blocks.ifm2_reads(operation)
    assert reads is not None
    assert reads.bytes.sum() == expected
    assert blocks.ifm_reads(operation).bytes.sum() == 6 * 4 * 32


def test_a_scalar_operand_is_not_read() -> None:
    operation = dataclasses.replace(elementwise((False,) * 3), ifm2=None, scalar=3)
    streams = [flow.stream for flow in operation_traffic(operation, PortMap()).flows]
    assert streams == [Stream.IFM, Stream.OFM]


def test_weights_and_scales_are_streamed_for_every_block_of_the_plane() -> None:
    ifm, ofm = feature_map(6, 4, 96), feature_map(6, 4, 48)
    flows = operation_traffic(conv(ifm, ofm, (2, 2, 16)), PortMap()).flows
    by_stream = {flow.stream: flow for flow in flows}
    assert by_stream[Stream.WEIGHTS].bytes == 160 * 6
    assert by_stream[Stream.SCALES].beats == 48 // 8 * 6
    assert by_stream[Stream.WEIGHTS].event == "AXI1_RD_DATA_BEAT_RECEIVED"
    assert by_stream[Stream.IFM].event == "AXI0_RD_DATA_BEAT_RECEIVED"
    assert by_stream[Stream.OFM].event == "AXI0_WR_DATA_BEAT_WRITTEN"


def dma(**changes: Any) -> Dma:
    base = Dma(
        word=1, issue_words=2, source_region=0, source=0, destination_region=1, destination=0,
        length=100, size0=1, size1=1, skip0=0, skip1=0, source_strided=False,
        destination_strided=False,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


@pytest.mark.parametrize(
    ("changes", "read", "written"),
    [
        ({}, 13, 13),
        ({"source": 4, "length": 8}, 2, 1),
        ({"destination_region": None}, 13, 0),
        # Three rows of 12 bytes at 0, 20, 40: two beats each; packed, 36 bytes.
        ({"length": 12, "size0": 3, "skip0": 20, "source_strided": True}, 6, 5),
        (
            {"length": 8, "size0": 2, "skip0": 12, "size1": 2, "skip1": 64,
             "destination_strided": True}, 4, 6,
        ),
    ],
)  # fmt: skip
def test_dma_moves_every_beat_it_touches(changes: dict[str, Any], read: int, written: int) -> None:
    counters = operation_traffic(dma(**changes), PortMap()).counters
    assert counters["AXI1_RD_DATA_BEAT_RECEIVED"] == read
    assert counters["AXI0_WR_DATA_BEAT_WRITTEN"] == written
    assert counters["AXI0_RD_DATA_BEAT_RECEIVED"] == 0


anything = st.lists(
    st.one_of(
        block_operations(),
        st.builds(lambda length: dma(length=length), st.integers(1, 500)),
        st.just(Irq(word=0, issue_words=1, mask=1)),
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(anything, st.integers(1, 99), st.sampled_from(MemoryMode))
def test_totals_are_the_sum_of_the_operations_and_the_stream(
    operations: list[Operation], words: int, mode: MemoryMode
) -> None:
    ports = PortMap.for_memory_mode(mode)
    traffic = network_traffic(operations, words, ports)
    parts = [operation_traffic(operation, ports).counters for operation in operations]
    stream = f"AXI{ports.port(None)}_RD_DATA_BEAT_RECEIVED"
    for event, count in traffic.counters.items():
        own = -(-words // 2) if event == stream else 0
        assert count == sum(part[event] for part in parts) + own


def test_sram_only_leaves_axi1_alone() -> None:
    ports = PortMap.for_memory_mode(MemoryMode.SRAM_ONLY)
    operation = conv(feature_map(4, 4, 16), feature_map(4, 4, 16), (4, 4, 16))
    counters = network_traffic([operation, dma()], 20, ports).counters
    assert counters["AXI1_RD_DATA_BEAT_RECEIVED"] == 0
    assert counters["AXI0_RD_DATA_BEAT_RECEIVED"] > 0
    assert counters["AXI1_WR_DATA_BEAT_WRITTEN"] == 0
    # The OFM, and the 100 bytes of the transfer.
    assert counters["AXI0_WR_DATA_BEAT_WRITTEN"] == 4 * 4 * 16 // 8 + 13


@pytest.mark.parametrize(("qconfig", "regioncfg"), [(4, (0,) * 8), (0, (0,) * 7), (0, (-1,) * 8)])
def test_a_port_map_that_no_register_can_hold_is_refused(
    qconfig: int, regioncfg: tuple[int, ...]
) -> None:
    with pytest.raises(ConfigError, match="REGIONCFG"):
        PortMap(qconfig, regioncfg)
