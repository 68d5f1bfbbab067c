"""Block operations made by hand, for tests of traffic and cycles."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from targets.artefact.stream.operations import (
    AccumulatorFormat,
    Activation,
    ActivationFunction,
    Block,
    BlockOperation,
    Conv,
    DataType,
    Depthwise,
    FeatureMap,
    FlashRange,
    Kernel,
    Layout,
    Padding,
    Pool,
    PoolMode,
    Rounding,
    Upscale,
)

__all__ = ["POINT", "UNPADDED", "block_operations", "common", "conv", "feature_map"]

POINT = Kernel(1, 1, 1, 1, 1, 1, part_kernel_first=False)
UNPADDED = Padding(0, 0, 0, 0)


def feature_map(
    height: int,
    width: int,
    depth: int,
    *,
    layout: Layout = Layout.NHCWB16,
    dtype: DataType = DataType.INT8,
    base: int = 0,
    region: int = 1,
) -> FeatureMap:
    """A feature map packed as Vela packs it, in one tile."""
    size = dtype.bytes
    if layout is Layout.NHCWB16:
        x, c = 16 * size, 16 * size * width
        y = -(-depth // 16) * c
    else:
        x, c, y = depth * size, size, width * depth * size
    return FeatureMap(
        region, layout, dtype, height, width, depth, (base, 0, 0, 0), height, height, width,
        stride_y=y, stride_x=x, stride_c=c, zero_point=0,
    )  # fmt: skip


def conv(
    ifm: FeatureMap,
    ofm: FeatureMap,
    block: tuple[int, int, int],
    kernel: Kernel = POINT,
    padding: Padding = UNPADDED,
    upscale: Upscale = Upscale.NONE,
) -> Conv:
    return Conv(
        **common(ifm, ofm, block, kernel, padding, upscale),
        weights=FlashRange(0, 0x100, 160),
        scales=FlashRange(0, 0x40, 48),
    )


def common(
    ifm: FeatureMap,
    ofm: FeatureMap,
    block: tuple[int, int, int],
    kernel: Kernel = POINT,
    padding: Padding = UNPADDED,
    upscale: Upscale = Upscale.NONE,
) -> dict[str, Any]:
    return {
        "word": 9,
        "issue_words": 10,
        "ifm": ifm,
        "ofm": ofm,
        "kernel": kernel,
        "padding": padding,
        "upscale": upscale,
        "activation": Activation(ActivationFunction.NONE, 0, -128, 127, None),
        "rounding": Rounding.TFL,
        "block": Block(*block, AccumulatorFormat.INT32, 4, 0, 8, 3),
        "ofm_scale": None,
    }


@st.composite
def block_operations(draw: st.DrawFn) -> BlockOperation:
    """Convolutions, depthwise, pooling and REDUCE_SUM of any geometry the NPU has."""
    kind = draw(st.sampled_from(["conv", "depthwise", "max", "reduce_sum"]))
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    depth = draw(st.integers(1, 70))
    dilation = draw(st.integers(1, 2))
    kernel = Kernel(
        draw(st.integers(1, 11)),
        draw(st.integers(1, 11)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        dilation,
        dilation,
        part_kernel_first=draw(st.booleans()),
    )
    if kind == "reduce_sum":
        kernel = POINT
    covered_y = (height - 1) * kernel.stride_y + (kernel.height - 1) * dilation + 1
    covered_x = (width - 1) * kernel.stride_x + (kernel.width - 1) * dilation + 1
    top = draw(st.integers(0, min(kernel.height, covered_y) - 1))
    left = draw(st.integers(0, min(kernel.width, covered_x) - 1))
    upscale = draw(st.sampled_from([Upscale.NONE, Upscale.NEAREST]))
    halves = 1 if upscale is Upscale.NONE else 2
    layout, dtype = draw(st.sampled_from(Layout)), draw(st.sampled_from(DataType))
    base = draw(st.integers(0, 64)) * (16 if layout is Layout.NHCWB16 else dtype.bytes)
    ifm = feature_map(
        -(-max(covered_y - top, 1) // halves),
        -(-max(covered_x - left, 1) // halves),
        depth,
        layout=layout,
        dtype=dtype,
        base=base,
    )
    if draw(st.booleans()):
        edge = draw(st.integers(1, ifm.width))
        rows = draw(st.integers(1, ifm.height))
        step = 16 if layout is Layout.NHCWB16 else dtype.bytes
        second, third, fourth = (draw(st.integers(0, 64)) * step for _ in range(3))
        tiles = (base, second, third, fourth)
        ifm = dataclasses.replace(
            ifm, bases=tiles, tile_width0=edge, tile_height0=rows, tile_height1=ifm.height
        )
    ofm_depth = {"conv": draw(st.integers(1, 70)), "reduce_sum": 1}.get(kind, depth)
    ofm = feature_map(height, width, ofm_depth, layout=draw(st.sampled_from(Layout)))
    shape = (draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(st.integers(1, 6)) * 8)
    args = common(ifm, ofm, shape, kernel, Padding(top, left, 0, 0), upscale)
    constants: dict[str, Any] = {
        "weights": FlashRange(0, 0x100, 160),
        "scales": FlashRange(0, 0x40, 48),
    }
    if kind == "conv":
        return Conv(**args, **constants)
    if kind == "depthwise":
        return Depthwise(**args, **constants)
    mode = PoolMode.MAX if kind == "max" else PoolMode.REDUCE_SUM
    return Pool(**args, mode=mode, divides_by_valid=False)
