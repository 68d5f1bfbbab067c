"""Scaling of accumulators: the three rounding modes, exactly, on int64 arrays.

TFL is TensorFlow Lite's double rounding: the rounded high half of the product (gemmlowp's
SaturatingRoundingDoublingHighMul: to the nearest multiple of 2^31, half up), then a rounding
division by a power of two (RoundingDivideByPOT: half away from zero). The NPU has one shift where
TensorFlow Lite has a left and a right shift: 31 means neither, and with less than 31 only the first
rounding remains. TRUNCATE drops the fraction (towards zero). NATURAL rounds half up. All were
verified by running compiled models and comparing with TFLite-Micro.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from targets.artefact.stream.operations import Rounding

__all__ = ["MAX_PRODUCT", "rounding_terms", "scale", "wrap_int32"]

Ints = NDArray[np.int64]

#: `scale` is exact for |value * multiplier| below this: the rounding term still fits an int64.
MAX_PRODUCT = 1 << 62

#: The shift of the first of the two roundings.
_HIGH_HALF = 31


def scale(values: Ints, multiplier: ArrayLike, shift: ArrayLike, rounding: Rounding) -> Ints:
    """`values * multiplier / 2^shift`, rounded.

    Args:
        values: int64 of any shape.
        multiplier: one, or one per channel (last axis).
        shift: 0..63, one or one per channel.
        rounding: the rounding mode.

    Returns:
        A new int64 array. It is exact while `|values * multiplier| < MAX_PRODUCT`. Beyond that the
        product wraps in two's complement; no network compiled by Vela gets there.
    """
    shifts = np.asarray(shift, np.int64)
    product = np.asarray(values * np.asarray(multiplier, np.int64))
    if rounding is Rounding.TRUNCATE:
        # An arithmetic shift rounds down; adding 2^shift - 1 first corrects this for negatives.
        product += (product >> 63) & _low_bits(shifts)
    elif rounding is Rounding.NATURAL:
        product += _half(shifts)
    else:
        twice = shifts > _HIGH_HALF
        product += np.where(twice, np.int64(1) << (_HIGH_HALF - 1), _half(shifts))
        # Half away from zero is half up, minus one unit for a negative high half.
        sign = product >> 63
        sign <<= _HIGH_HALF
        product += np.where(twice, sign, 0)
        product += np.where(twice, _half(shifts), 0)
    product >>= shifts
    return product


def rounding_terms(shift: Ints, rounding: Rounding) -> tuple[Ints, Ints, Ints]:
    """`scale` as one formula for all modes, int64 `[channels]`: (before, negative, after).

    With `p = value * multiplier + before`, and `negative` added to it if p < 0, the scaled value is
    `(p + after) >> shift`.
    """
    none = np.zeros_like(shift)
    if rounding is Rounding.TRUNCATE:
        return none, _low_bits(shift), none
    if rounding is Rounding.NATURAL:
        return _half(shift), none, none
    twice = shift > _HIGH_HALF
    return (
        np.where(twice, np.int64(1) << (_HIGH_HALF - 1), _half(shift)),
        np.where(twice, np.int64(-1) << _HIGH_HALF, none),
        np.where(twice, _half(shift), none),
    )


def wrap_int32(values: Ints) -> Ints:
    """The low 32 bits of `values`, as a signed number."""
    return values.astype(np.int32).astype(np.int64)


def _low_bits(shifts: Ints) -> Ints:
    """2^shift - 1."""
    low: Ints = ~(np.int64(-1) << shifts)
    return low


def _half(shifts: Ints) -> Ints:
    """2^(shift - 1), and 0 for a shift of 0."""
    low = _low_bits(shifts)
    return low - (low >> 1)
