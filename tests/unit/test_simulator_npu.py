"""Whole programs made by hand: transfers, constants, and what is refused before anything runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.artefact.errors import StreamError
from targets.artefact.stream.operations import (
    AccumulatorFormat,
    Activation,
    ActivationFunction,
    Block,
    Conv,
    DataType,
    Dma,
    FeatureMap,
    FlashRange,
    Kernel,
    Layout,
    Operation,
    Padding,
    Pool,
    PoolMode,
    Rounding,
    Scale,
    Stop,
    Upscale,
)
from targets.simulator.execution.memory import Memory, MemoryMap, RegionInfo
from targets.simulator.execution.program import Program

FLASH, ARENA, SIZE, ROWS = 0, 1, 4096, 3
CONTENT = np.random.default_rng(1).integers(0, 256, SIZE).astype(np.uint8)
LAYOUT = MemoryMap(
    {
        FLASH: RegionInfo(SIZE, CONTENT, storage=-1),
        ARENA: RegionInfo(SIZE, None, storage=0),
        # The arena again, from byte 1024 on.
        2: RegionInfo(SIZE - 1024, None, storage=0, offset=1024),
    }
)


def transfer(**changes: object) -> Dma:
    plain = Dma(
        word=3, issue_words=4, source_region=FLASH, source=16, destination_region=ARENA,
        destination=64, length=32, size0=1, size1=1, skip0=0, skip1=0,
        source_strided=False, destination_strided=False,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def bytes_map(base: int, depth: int, region: int = ARENA) -> FeatureMap:
    return FeatureMap(
        region=region, layout=Layout.NHWC, dtype=DataType.UINT8, height=1, width=1, depth=depth,
        bases=(base, 0, 0, 0), tile_height0=1, tile_height1=1, tile_width0=1, stride_y=depth,
        stride_x=depth, stride_c=1, zero_point=0,
    )  # fmt: skip


def pool(function: ActivationFunction = ActivationFunction.NONE, **changes: object) -> Pool:
    plain = Pool(
        word=9, issue_words=20, ifm=bytes_map(0, 16), ofm=bytes_map(512, 16),
        kernel=Kernel(1, 1, 1, 1, 1, 1, part_kernel_first=False), padding=Padding(0, 0, 0, 0),
        upscale=Upscale.NONE, activation=Activation(function, 0, 0, 255, None),
        rounding=Rounding.TFL, block=Block(1, 1, 16, AccumulatorFormat.INT32, 2, 0, 4, 0),
        ofm_scale=Scale(1, 0), mode=PoolMode.AVERAGE, divides_by_valid=False,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def run(*operations: Operation) -> tuple[np.ndarray, np.ndarray]:
    """The arena before and after, `[rows, bytes]`."""
    arena = np.random.default_rng(2).integers(0, 256, (ROWS, SIZE)).astype(np.uint8)
    before = arena.copy()
    stop = Stop(word=99, issue_words=1, mask=0xFFFF)
    program = Program([*operations, stop], LAYOUT, 128)
    program.run(Memory(LAYOUT, {0: arena}, ROWS))
    return before, arena


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(0, 48), st.sampled_from([-1, 1]),
    st.booleans(), st.booleans(), st.sampled_from([FLASH, ARENA]),
)  # fmt: skip
def test_strided_transfers_move_row_by_row(
    size0: int, size1: int, gap: int, direction: int, source: bool, target: bool, region: int
) -> None:
    length, start, end = 32, 1000, 3000
    # What overlapping rows leave behind depends on an order nobody has written down.
    skip1 = direction * (size0 * (length + gap) + gap)
    dma = transfer(
        source_region=region, source=start, destination=end, length=length, size0=size0,
        size1=size1, skip0=length + gap, skip1=skip1, source_strided=source,
        destination_strided=target,
    )  # fmt: skip
    before, after = run(dma)
    wanted = before.copy()
    for plane, row in np.ndindex(size1, size0):
        packed = (plane * size0 + row) * length
        strided = plane * skip1 + row * (length + gap)
        at = start + (strided if source else packed)
        to = end + (strided if target else packed)
        data = np.broadcast_to(CONTENT, before.shape) if region == FLASH else before
        wanted[:, to : to + length] = data[:, at : at + length]
    np.testing.assert_array_equal(after, wanted)


def test_a_region_may_start_within_the_arena() -> None:
    _, after = run(transfer(destination_region=2, destination=0))
    np.testing.assert_array_equal(after[:, 1024:1056], np.tile(CONTENT[16:48], (ROWS, 1)))


def test_a_table_that_went_through_the_arena_is_used() -> None:
    there = transfer(source=0, destination=2048, length=256)
    here = transfer(
        source_region=ARENA, source=2048, destination_region=None, destination=0, length=256
    )
    before, after = run(there, here, pool(ActivationFunction.LOOKUP))
    np.testing.assert_array_equal(after[:, 512:528], CONTENT[before[:, :16]])


def test_a_table_that_was_overwritten_is_refused() -> None:
    there = transfer(source=0, destination=512, length=256)
    here = transfer(
        source_region=ARENA, source=512, destination_region=None, destination=0, length=256
    )
    with pytest.raises(StreamError, match=r"word 3 .*not constant"):
        run(there, pool(), here)


def convolution() -> Conv:
    shared = {
        name: getattr(pool(), name)
        for name in Pool.__dataclass_fields__
        if name not in ("mode", "divides_by_valid")
    }
    return Conv(
        **{**shared, "ofm_scale": None},
        weights=FlashRange(ARENA, 1024, 64),
        scales=FlashRange(FLASH, 0, 160),
    )


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (transfer(source=SIZE - 16), "region 0"),
        (transfer(destination=SIZE - 16), "region 1"),
        (transfer(destination_region=FLASH), "read-only"),
        (transfer(source_region=5), "region 5"),
        (transfer(size0=2, skip0=-64, source_strided=True), "bytes -48"),
        (transfer(size0=1 << 16, size1=1 << 16, length=1 << 16), "units of work"),
        (convolution(), "not constant"),
        (pool(ofm=bytes_map(SIZE - 15, 16)), "region 1"),
        (pool(ofm=bytes_map(0, 16, FLASH)), "read-only"),
    ],
)
def test_a_bad_operation_is_refused_and_named(operation: Operation, words: str) -> None:
    with pytest.raises(StreamError, match=words) as error:
        run(operation)
    assert error.value.word == operation.word
    assert error.value.operation.startswith("NPU_OP_")
