"""Scaling against big integers and against TensorFlow Lite's own two steps."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.artefact.stream.operations import Rounding
from targets.simulator.execution.arithmetic import MAX_PRODUCT, scale, wrap_int32

VALUES = st.integers(-(2**33), 2**33)
MULTIPLIERS = st.integers(0, 2**32 - 1)
SHIFTS = st.integers(0, 63)


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def half_away(value: Fraction) -> int:
    return half_up(value) if value >= 0 else -half_up(-value)


def expected(value: int, multiplier: int, shift: int, rounding: Rounding) -> int:
    product = value * multiplier
    exact = Fraction(product, 2**shift)
    if rounding is Rounding.TRUNCATE:
        return int(exact)
    if rounding is Rounding.NATURAL or shift <= 31:
        return half_up(exact)
    return half_away(Fraction(half_up(Fraction(product, 2**31)), 2 ** (shift - 31)))


@given(VALUES, MULTIPLIERS, SHIFTS, st.sampled_from(Rounding))
def test_scaling_is_exact(value: int, multiplier: int, shift: int, rounding: Rounding) -> None:
    if abs(value * multiplier) >= MAX_PRODUCT:
        value >>= 4
    got = scale(np.array([value], np.int64), multiplier, shift, rounding)
    assert got.tolist() == [expected(value, multiplier, shift, rounding)]


@given(st.integers(-(2**31), 2**31 - 1), st.integers(2**30, 2**31 - 1), st.integers(31, 62))
def test_tfl_is_multiply_by_quantized_multiplier(value: int, multiplier: int, shift: int) -> None:
    # The two steps as gemmlowp states them: C++ division truncates, and so does int().
    product = value * multiplier
    nudge = 2**30 if product >= 0 else 1 - 2**30
    high = int(Fraction(product + nudge, 2**31))
    right = shift - 31
    mask = 2**right - 1
    threshold = (mask >> 1) + (high < 0)
    wanted = (high >> right) + ((high & mask) > threshold)
    assert scale(np.array([value]), multiplier, shift, Rounding.TFL).tolist() == [wanted]


@pytest.mark.parametrize("rounding", list(Rounding))
def test_channels_have_their_own_scales(rounding: Rounding) -> None:
    random = np.random.default_rng(0)
    values = random.integers(-(2**30), 2**30, (5, 64))
    multipliers, shifts = random.integers(0, 2**31, 64), np.arange(64)
    together = scale(values, multipliers, shifts, rounding)
    alone = [scale(values[:, i], int(multipliers[i]), int(shifts[i]), rounding) for i in range(64)]
    np.testing.assert_array_equal(together, np.stack(alone, axis=1))


@given(st.integers(-(2**62), 2**62))
def test_wrapping_keeps_the_low_word(value: int) -> None:
    wanted = (value + 2**31) % 2**32 - 2**31
    assert wrap_int32(np.array([value])).tolist() == [wanted]
