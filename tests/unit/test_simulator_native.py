"""Machine code of the simulator's inner loops against NumPy: layouts, windows, extreme values."""

from __future__ import annotations

import logging
import platform
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.artefact.stream.operations import (
    AccumulatorFormat,
    Activation,
    ActivationFunction,
    Block,
    DataType,
    FeatureMap,
    Kernel,
    Layout,
    Padding,
    Pool,
    PoolMode,
    Rounding,
    Scale,
    Upscale,
)
from targets.ethos_u55.shram import LUT_BYTES
from targets.simulator.execution.activation import Activator
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.memory import Memory, MemoryMap, RegionInfo, Site
from targets.simulator.execution.native_layer import NativeLayer, WindowSums
from targets.simulator.execution.native_pair import NativePair
from targets.simulator.execution.output_stage import OutputStage, Scaling
from targets.simulator.execution.windows import WindowedInput
from targets.simulator.native.choice import InnerLoops
from targets.simulator.native.kernels import Dot, Kernels, Multiplication

pytest.importorskip("llvmlite", reason="the package llvmlite is missing: machine code NOT tested")

SITE = Site(7, "NPU_OP_CONV")
SIZE, ROWS = 1 << 16, 3
LAYOUT = MemoryMap({1: RegionInfo(SIZE, None, storage=0)})
TABLES = np.random.default_rng(3).integers(0, 256, LUT_BYTES).astype(np.uint8)

DEPTHS = st.integers(16, 40)

#: Processors by LLVM's names: the one at hand, one with AVX2, one with SSE2 alone.
PROCESSORS = ["", *(["x86-64-v3", "x86-64"] if platform.machine() == "x86_64" else [])]


@cache
def kernels_of(processor: str) -> Kernels:
    if not processor:
        found = InnerLoops.FASTEST.kernels()
        assert found is not None
        return found
    from targets.simulator.native.compiler import Compiler

    return Compiler(processor)


@dataclass(frozen=True)
class Layer:
    pool: Pool
    weights: np.ndarray
    by_channel: bool
    scaling: Scaling
    seed: int


def feature_map(
    shape: tuple[int, int, int], layout: Layout, dtype: DataType, base: int, zero: int, tiled: bool
) -> FeatureMap:
    height, width, depth = shape
    bricks = -(-depth // 16)
    if layout is Layout.NHWC:
        strides = (width * depth, depth, 1)
    else:
        strides = (width * bricks * 16, 16, width * 16)
    split = (height + 1) // 2 if tiled else height
    return FeatureMap(
        region=1, layout=layout, dtype=dtype, height=height, width=width, depth=depth,
        # The lower tile is somewhere else.
        bases=(base, 0, base + split * strides[0] + 64, 0), tile_height0=split,
        tile_height1=height, tile_width0=width, stride_y=strides[0], stride_x=strides[1],
        stride_c=strides[2], zero_point=zero,
    )  # fmt: skip


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    by_channel = draw(st.booleans())
    depth = draw(st.integers(1, 40))
    outputs = depth if by_channel else draw(st.integers(1, 70))
    kernel = Kernel(
        height=draw(st.integers(1, 3)), width=draw(st.integers(1, 3)),
        stride_y=draw(st.integers(1, 2)), stride_x=draw(st.integers(1, 2)),
        dilation_y=draw(st.integers(1, 2)), dilation_x=draw(st.integers(1, 2)),
        part_kernel_first=False,
    )  # fmt: skip
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    covered = kernel.covered(height, width)
    padding = Padding(*(draw(st.integers(0, 1)) for _ in range(4)))
    inside = (covered[0] - padding.top - padding.bottom, covered[1] - padding.left - padding.right)
    if min(inside) < 1:
        padding, inside = Padding(0, 0, 0, 0), covered
    kind = draw(st.sampled_from([DataType.INT8, DataType.UINT8]))
    zero = draw(st.integers(-128, 127)) if kind is DataType.INT8 else draw(st.integers(0, 255))
    ofm = draw(st.sampled_from([DataType.INT8, DataType.UINT8]))
    lowest = -128 if ofm is DataType.INT8 else 0
    low, high = sorted(draw(st.integers(lowest, lowest + 255)) for _ in range(2))
    function = draw(st.sampled_from([ActivationFunction.NONE, ActivationFunction.LOOKUP]))
    layouts = st.sampled_from(list(Layout))
    source = feature_map((*inside, depth), draw(layouts), kind, 0, zero, draw(st.booleans()))
    target = feature_map(
        (height, width, outputs), draw(layouts), ofm, 1 << 15, 0, draw(st.booleans())
    )
    pool = Pool(
        word=9, issue_words=20, ifm=source, ofm=target, kernel=kernel, padding=padding,
        upscale=Upscale.NONE, activation=Activation(function, 0, low, high, None),
        rounding=draw(st.sampled_from(Rounding)),
        block=Block(1, 1, 16, AccumulatorFormat.INT32, 2, 0, 4, 0), ofm_scale=Scale(1, 0),
        mode=PoolMode.AVERAGE, divides_by_valid=False,
    )  # fmt: skip
    seed = draw(st.integers(0, 2**32))
    random = np.random.default_rng(seed)
    shape = (outputs, kernel.height, kernel.width, 1 if by_channel else depth)
    # A byte of any sign, or what only uint8 weights with a zero point have.
    extremes = draw(st.sampled_from([(-128, 127), (-255, 255)]))
    weights = np.where(
        random.random(shape) < draw(st.sampled_from([0.0, 0.5, 1.0])),
        random.choice(extremes, shape),
        random.integers(*extremes, shape, endpoint=True),
    )
    scaling = Scaling(
        bias=random.integers(-50000, 50000, outputs),
        multiplier=random.integers(1 << 30, 1 << 31, outputs),
        shift=random.integers(20, 46, outputs),
        rounding=pool.rounding,
        zero_point=draw(st.integers(-128, 127)),
    )
    return Layer(pool, weights, by_channel, scaling, seed)


def arena(seed: int) -> np.ndarray:
    """Random bytes, half of them extreme ones."""
    random = np.random.default_rng(seed)
    some = random.integers(0, 256, (ROWS, SIZE)).astype(np.uint8)
    extreme = random.choice(np.array([0, 127, 128, 255], np.uint8), (ROWS, SIZE))
    return np.where(random.random((ROWS, SIZE)) < 0.5, some, extreme)


def sums_of(layer: Layer) -> WindowSums:
    pool = layer.pool
    source = WindowedInput(pool, LAYOUT, SITE, fill=pool.ifm.zero_point)
    target = FeatureMapPort(pool.ofm, LAYOUT, SITE, writing=True)
    bound = int(np.abs(layer.weights).sum(axis=(1, 2, 3)).max()) * 255
    return WindowSums(
        source, target, pool.kernel, layer.weights, layer.by_channel, layer.scaling,
        Activator(pool.activation, pool.ofm.dtype, TABLES), bound,
    )  # fmt: skip


@pytest.mark.parametrize("processor", PROCESSORS)
@settings(deadline=None, max_examples=60)
@given(layers())
def test_a_layer_is_what_numpy_makes_of_it(processor: str, layer: Layer) -> None:
    sums = sums_of(layer)
    native = NativeLayer.of(sums, kernels_of(processor))
    # Shifts of a few bits may make results of more than 32.
    if layer.scaling.shift.min() > 31:
        assert native is not None
    elif native is None:
        return
    content = arena(layer.seed)
    memory = Memory(LAYOUT, {0: content}, ROWS)
    windows = sums.source.windows(sums.source.read(memory)).astype(np.int64)
    if layer.by_channel:
        accumulators = np.einsum("nyxhwc,chw->nyxc", windows, layer.weights[..., 0])
    else:
        accumulators = np.einsum("nyxhwc,ohwc->nyxo", windows, layer.weights)
    stage = OutputStage(layer.scaling, sums.activator, 1 << 62)
    expected = content.copy()
    sums.target.write(Memory(LAYOUT, {0: expected}, ROWS), stage(accumulators))
    native.run(memory)
    # Also that nothing else has been written.
    assert np.array_equal(content, expected)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_two_bytes_are_looked_up_wherever_they_are(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(8, 16)), data.draw(st.integers(8, 16)), data.draw(DEPTHS))
    maps = [
        feature_map(
            shape, data.draw(st.sampled_from(list(Layout))),
            data.draw(st.sampled_from([DataType.INT8, DataType.UINT8])), base, 0, False,
        )
        for base in (0, 20000, 40000)
    ]  # fmt: skip
    if data.draw(st.booleans()):
        # In place.
        maps[2] = replace(maps[0], dtype=maps[2].dtype)
    first, second, target = (
        FeatureMapPort(each, LAYOUT, SITE, writing=i == 2) for i, each in enumerate(maps)
    )

    def function(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((3 * a.astype(np.int64) - b + 1).astype(target.dtype))

    native = NativePair.of((first, second, target), function, LAYOUT, kernels_of(""))
    assert native is not None
    content = arena(1)
    memory, expected = Memory(LAYOUT, {0: content}, ROWS), content.copy()
    values = function(first.read(memory), second.read(memory))
    target.write(Memory(LAYOUT, {0: expected}, ROWS), values)
    native.run(memory)
    assert np.array_equal(content, expected)


def test_an_output_that_overlaps_an_operand_otherwise_is_left_to_numpy() -> None:
    maps = [
        feature_map((16, 16, 16), Layout.NHWC, DataType.INT8, base, 0, False)
        for base in (0, 20000, 16)
    ]
    ports = [FeatureMapPort(each, LAYOUT, SITE, writing=i == 2) for i, each in enumerate(maps)]
    first, second, target = ports
    assert NativePair.of((first, second, target), np.add, LAYOUT, kernels_of("")) is None
    assert NativePair.of((first, second, first), np.add, LAYOUT, kernels_of("")) is not None


def test_machine_code_that_computes_something_else_is_not_used(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from targets.simulator.native.compiler import Compiler

    kernel = Multiplication(Dot.PAIRS, 1, 4, signed=True)
    assert Compiler().function(kernel) is not None
    broken = Compiler()
    other = kernels_of("").function(replace(kernel, signed=False))
    monkeypatch.setattr(broken, "_compile", lambda _: other)
    with caplog.at_level(logging.WARNING):
        assert broken.function(kernel) is None
    assert "NumPy does its work" in caplog.text
