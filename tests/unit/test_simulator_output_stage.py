"""The fast way from accumulators to bytes against the exact one, and the activations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.artefact.errors import StreamError
from targets.artefact.stream.operations import Activation, ActivationFunction, DataType, Rounding
from targets.ethos_u55.shram import LUT_BYTES
from targets.simulator.execution.activation import Activator
from targets.simulator.execution.arithmetic import scale
from targets.simulator.execution.memory import Site
from targets.simulator.execution.output_stage import OutputStage, Scaling

NO_TABLES = np.zeros(LUT_BYTES, np.uint8)
SITE = Site(7, "NPU_OP_POOL AVERAGE")


def activator(
    dtype: DataType,
    low: int,
    high: int,
    function: ActivationFunction = ActivationFunction.NONE,
    clip: DataType | None = None,
    tables: np.ndarray = NO_TABLES,
) -> Activator:
    return Activator(Activation(function, 0, low, high, clip), dtype, tables)


@st.composite
def scalings(draw: st.DrawFn) -> Scaling:
    channels = draw(st.integers(1, 4))

    def array(elements: st.SearchStrategy[int]) -> np.ndarray:
        return np.array(draw(st.lists(elements, min_size=channels, max_size=channels)), np.int64)

    return Scaling(
        bias=array(st.integers(-40000, 40000)),
        multiplier=array(st.one_of(st.integers(2**30, 2**31 - 1), st.integers(0, 2**32 - 1))),
        shift=array(st.one_of(st.integers(34, 44), st.integers(0, 63))),
        rounding=draw(st.sampled_from(Rounding)),
        zero_point=draw(st.integers(-128, 127)),
    )


@settings(deadline=None, max_examples=200)
@given(
    scalings(),
    st.integers(-128, 127),
    st.integers(-128, 127),
    st.one_of(st.integers(1, 3000), st.integers(2**20, 2**26)),
    st.integers(0, 2**32),
)
def test_every_accumulator_is_scaled_exactly(
    scaling: Scaling, one: int, other: int, bound: int, seed: int
) -> None:
    low, high = sorted((one, other))
    stage = OutputStage(scaling, activator(DataType.INT8, low, high), bound)
    channels = len(scaling.bias)
    if bound <= 3000:
        accumulators = np.arange(-bound, bound + 1)
    else:
        # The steps are few; look closely around the places where they can be.
        random = np.random.default_rng(seed)
        accumulators = random.integers(-bound, bound + 1, 5000)
        accumulators[:1000] = np.clip(np.arange(-500, 500) - scaling.bias[0], -bound, bound)
    spread = np.repeat(accumulators[:, np.newaxis], channels, axis=1)
    exact = scale(spread + scaling.bias, scaling.multiplier, scaling.shift, scaling.rounding)
    wanted = np.clip(exact + scaling.zero_point, low, high).astype(np.int8)
    for dtype in (np.int64, np.float64, np.float32)[: 3 if bound < 2**24 else 2]:
        np.testing.assert_array_equal(stage(spread.astype(dtype)), wanted)


@given(st.integers(2**30, 2**31 - 1), st.integers(36, 42), st.integers(-128, 127))
@settings(deadline=None, max_examples=50)
def test_usual_scales_take_the_fast_way(multiplier: int, shift: int, zero_point: int) -> None:
    one = np.ones(1, np.int64)
    scaling = Scaling(100 * one, multiplier * one, shift * one, Rounding.TFL, zero_point)
    stage = OutputStage(scaling, activator(DataType.INT8, -128, 127), 1 << 20)
    assert stage.dtype.kind == "f"


def test_a_byte_table_is_indexed_by_the_clamped_value() -> None:
    table = np.arange(256, dtype=np.uint8)[::-1]
    tables = np.concatenate([table, np.zeros(LUT_BYTES - 256, np.uint8)])
    lookup = activator(DataType.INT8, -100, 100, ActivationFunction.LOOKUP, tables=tables)
    one = np.ones(1, np.int64)
    stage = OutputStage(Scaling(0 * one, one, 0 * one, Rounding.TFL, 0), lookup, 1 << 10)
    values = np.arange(-300, 300)[:, np.newaxis]
    wanted = table[np.clip(values, -100, 100) + 128].view(np.int8)
    np.testing.assert_array_equal(stage(values), wanted)


def test_a_word_table_is_indexed_by_a_forced_byte() -> None:
    words = np.random.default_rng(0).integers(-(2**31), 2**31, 256).astype(np.int32)
    tables = np.concatenate([words.view(np.uint8), np.zeros(1024, np.uint8)])
    lookup = activator(DataType.INT32, -128, 127, ActivationFunction.LOOKUP, DataType.INT8, tables)
    values = np.arange(-200, 200)
    np.testing.assert_array_equal(lookup(values), words[np.clip(values, -128, 127) + 128])


def test_a_word_saturates_and_is_not_clamped() -> None:
    """ACTIVATION_MIN and _MAX have 16 bits; without a forced type they do not bind it."""
    wide = activator(DataType.INT32, -128, 127)
    values = np.array([-(2**40), -(2**31) - 1, -(2**31), -300, 300, 2**31 - 1, 2**31, 2**40])
    wanted = [-(2**31), -(2**31), -(2**31), -300, 300, 2**31 - 1, 2**31 - 1, 2**31 - 1]
    assert wide(values).tolist() == wanted


def test_a_pair_table_is_interpolated() -> None:
    base = np.linspace(-30000, 30000, 512).astype(np.int16)
    slope = np.diff(base, append=base[-1:]).astype(np.int16)
    tables = np.ascontiguousarray(np.stack([base, slope], axis=1)).view(np.uint8).ravel()
    lookup = activator(DataType.INT16, -32768, 32767, ActivationFunction.LOOKUP, tables=tables)
    values = np.arange(-32768, 32768)
    line = np.interp(values, np.arange(-32768, 32768, 128), base.astype(np.float64))
    inside = values < 32768 - 128
    assert np.abs(lookup(values) - line)[inside].max() <= 0.5


@pytest.mark.parametrize(
    ("function", "curve"),
    [
        (ActivationFunction.TANH, np.tanh),
        (ActivationFunction.SIGMOID, lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_tanh_and_sigmoid_follow_the_curve(function: ActivationFunction, curve: object) -> None:
    assert callable(curve)
    act = activator(DataType.INT16, -32768, 32767, function)
    # Input in 1/(3 * 4096); beyond the table both saturate.
    values = np.arange(-140000, 140001, 7)
    wanted = curve(values / 12288) * 32768
    assert np.abs(act(values) - np.clip(wanted, -32768, 32767)).max() <= 6
    bounded = activator(DataType.INT16, 11, 32757, function)(values)
    assert (bounded.min(), bounded.max()) == (11, 32757)


@pytest.mark.parametrize(
    "act",
    [
        Activator(
            Activation(ActivationFunction.LOOKUP, 7, 0, 255, DataType.INT8),
            DataType.INT32,
            NO_TABLES,
        ),
        activator(DataType.INT8, -128, 127, ActivationFunction.TANH),
    ],
)
def test_impossible_activations_are_refused(act: Activator) -> None:
    with pytest.raises(StreamError, match="word 7"):
        act.check(SITE)
