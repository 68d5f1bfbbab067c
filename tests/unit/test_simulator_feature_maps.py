"""Feature maps against the address formula, element by element."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.artefact.errors import StreamError
from targets.artefact.stream.operations import DataType, FeatureMap, Layout
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.memory import Memory, MemoryMap, RegionInfo, Site

SIZE = 1 << 16
ROWS = 2
SITE = Site(42, "NPU_OP_CONV")
LAYOUT = MemoryMap(
    {
        0: RegionInfo(64, np.arange(64, dtype=np.uint8), storage=-1),
        1: RegionInfo(SIZE, None, storage=0),
    }
)


def address(fm: FeatureMap, y: int, x: int, c: int) -> int:
    """As the NPU's documentation of registers has it, one element at a time."""
    right = x >= fm.tile_width0
    below = y >= (fm.tile_height1 if right else fm.tile_height0)
    base = fm.bases[2 * below + right]
    if right:
        x -= fm.tile_width0
    if below:
        y -= fm.tile_height1 if right else fm.tile_height0
    if fm.layout is Layout.NHWC:
        channel = c * fm.dtype.bytes
    else:
        channel = c // 16 * fm.stride_c + c % 16 * fm.dtype.bytes
    return base + y * fm.stride_y + x * fm.stride_x + channel


@st.composite
def feature_maps(draw: st.DrawFn) -> FeatureMap:
    """Four tiles that do not overlap, in any layout and direction."""
    dtype = draw(st.sampled_from(DataType))
    layout = draw(st.sampled_from(Layout))
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    depth = draw(st.integers(1, 40))
    bricks = -(-depth // 16)
    if layout is Layout.NHWC:
        stride_x = depth * dtype.bytes + draw(st.integers(0, 3))
        stride_c, line = 0, width * stride_x
    else:
        stride_x = 16 * dtype.bytes
        stride_c = width * stride_x
        line = bricks * stride_c
    stride_y = line + draw(st.integers(0, 5))
    # A quarter of the region for each tile; a negative stride starts at a tile's last line.
    bases = tuple(i * SIZE // 4 + draw(st.integers(0, 9)) for i in range(4))
    if draw(st.booleans()):
        bases = tuple(base + (height - 1) * stride_y for base in bases)
        stride_y = -stride_y
    return FeatureMap(
        region=1,
        layout=layout,
        dtype=dtype,
        height=height,
        width=width,
        depth=depth,
        bases=(bases[0], bases[1], bases[2], bases[3]),
        tile_height0=draw(st.integers(1, 6)),
        tile_height1=draw(st.integers(1, 6)),
        tile_width0=draw(st.integers(1, 6)),
        stride_y=stride_y,
        stride_x=stride_x,
        stride_c=stride_c,
        zero_point=0,
    )


@settings(deadline=None, max_examples=60)
@given(feature_maps(), st.integers(0, 2**32))
def test_every_element_is_where_the_registers_say(fm: FeatureMap, seed: int) -> None:
    random = np.random.default_rng(seed)
    storage = random.integers(0, 256, (ROWS, SIZE)).astype(np.uint8)
    before = storage.copy()
    memory = Memory(LAYOUT, {0: storage}, ROWS)
    size = fm.dtype.bytes
    values = FeatureMapPort(fm, LAYOUT, SITE, writing=False).read(memory).copy()
    new = random.integers(-(2**31), 2**31, values.shape)
    FeatureMapPort(fm, LAYOUT, SITE, writing=True).write(memory, new)
    untouched = np.ones(SIZE, np.bool_)
    for y, x, c in np.ndindex(fm.height, fm.width, fm.depth):
        at = slice(address(fm, y, x, c), address(fm, y, x, c) + size)
        untouched[at] = False
        for row in range(ROWS):
            assert before[row, at].tobytes() == values[row, y, x, c].tobytes()
            assert storage[row, at].tobytes() == new[row, y, x, c].astype(fm.dtype.value).tobytes()
    np.testing.assert_array_equal(storage[:, untouched], before[:, untouched])


def flat(region: int, base: int, **changes: int) -> FeatureMap:
    fields = {
        "height": 4, "width": 4, "depth": 4, "stride_y": 16, "stride_x": 4, "stride_c": 1,
        **changes,
    }  # fmt: skip
    return FeatureMap(
        region=region,
        layout=Layout.NHWC,
        dtype=DataType.INT8,
        bases=(base, 0, 0, 0),
        tile_height0=1 << 16,
        tile_height1=1 << 16,
        tile_width0=1 << 16,
        zero_point=0,
        **fields,
    )


@pytest.mark.parametrize(
    ("fm", "writing", "words"),
    [
        (flat(1, SIZE - 63), False, "region 1"),
        (flat(1, 20, stride_y=-16), False, r"bytes -28\.\."),
        (flat(0, 0), True, "read-only"),
        (flat(2, 0), False, "region 2"),
        (flat(1, 0, height=1 << 16, width=1 << 16, stride_y=0, stride_x=0), False, "elements"),
    ],
    ids=["beyond the end", "before the start", "read-only", "no region", "endless"],
)
def test_what_lies_outside_is_refused(fm: FeatureMap, writing: bool, words: str) -> None:
    with pytest.raises(StreamError, match=words) as error:
        FeatureMapPort(fm, LAYOUT, SITE, writing=writing)
    assert (error.value.word, error.value.operation) == (42, "NPU_OP_CONV")


def test_the_last_byte_may_be_used() -> None:
    port = FeatureMapPort(flat(1, SIZE - 64), LAYOUT, SITE, writing=False)
    storage = np.zeros((1, SIZE), np.uint8)
    storage[0, -1] = 5
    assert port.read(Memory(LAYOUT, {0: storage}, 1))[0, 3, 3, 3] == 5


def test_read_only_memory_serves_all_rows() -> None:
    memory = Memory(LAYOUT, {0: np.zeros((7, SIZE), np.uint8)}, 7)
    values = FeatureMapPort(flat(0, 0), LAYOUT, SITE, writing=False).read(memory)
    assert values.shape == (1, 4, 4, 4)
    assert values.ravel().tolist() == list(range(64))
