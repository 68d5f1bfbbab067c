"""TFLite-Micro's 16-bit softmax, with the two look-up tables as parameters.

The algorithm of TensorFlow Lite's reference kernel: exponentials of the distance to the row's
greatest value from one table, the reciprocal of their sum from another, both interpolated.
Whoever knows which tables were used can tell a wrong table from wrong arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.core.arrays import Array

__all__ = ["Table", "exponential", "reciprocal", "softmax16"]

_SEGMENTS = 512
_GREATEST = 65535


@dataclass(frozen=True)
class Table:
    """int64 `[512]` each: a value for every 128th input, and the way to the next."""

    base: Array
    slope: Array

    def __call__(self, values: Array) -> Array:
        """Interpolated between the entries; `values` are int64 within 16 bits."""
        index = (values >> 7) + _SEGMENTS // 2
        return np.asarray(self.base[index] + ((self.slope[index] * (values & 127) + 64) >> 7))


def exponential() -> Table:
    """exp(x) for x in -10..0, as TFLite-Micro computes it."""
    return _table(-10.0, 0.0, lambda x: np.float32(math.exp(x)))


def reciprocal() -> Table:
    """1 / (1 + x) for x in 0..1, as TFLite-Micro computes it."""
    return _table(0.0, 1.0, lambda x: np.float32(1) / (np.float32(1) + x))


def _table(first: float, last: float, function: Callable[[np.float32], np.float32]) -> Table:
    """All in float32, every entry moved by half the error in the middle of its segment."""
    f = np.float32
    # 65535 steps of an inexact float32 scale, as the kernel has them.
    width = f((last - first) / _GREATEST) * f(_GREATEST)
    low = f(first / (last - first)) * width
    scale = f(2.0 / _GREATEST)
    factor = f(_GREATEST + 1) / (f(scale * f(32767)) - f(scale * f(-32768)))
    step = width / f(_SEGMENTS)
    entries = []
    for i in range(_SEGMENTS):
        here, following = low + f(i) * step, low + f(i + 1) * step
        value = _rounded(function(here) * factor)
        middle = _rounded((function(following) * factor + value) / f(2))
        error = middle - _rounded(function(here + step / f(2)) * factor)
        entries.append(value - _rounded(error / f(2)))
    entries.append(_rounded(function(low + width) * factor))
    whole = np.clip(np.array(entries), -32768, 32767).astype(np.int64)
    return Table(whole[:-1], np.diff(whole))


def _rounded(value: np.float32) -> np.float32:
    """Half away from zero."""
    rounded: np.float32 = np.copysign(np.floor(np.abs(value) + np.float32(0.5)), value)
    return rounded


def softmax16(values: Array, scale: float, exp: Table, one_over: Table) -> Array:
    """int16 `[..., classes]` of `scale` -> int64 of the same shape, in 1/32768."""
    mantissa, exponent = math.frexp(float(np.float32(scale)) / (10.0 / _GREATEST))
    distance = values.astype(np.int64) - values.max(axis=-1, keepdims=True)
    scaled = _multiplied(distance, round(mantissa * 2**31), exponent)
    powers = exp(np.clip(scaled + 32767, -32768, 32767))
    total = powers.sum(axis=-1, keepdims=True)
    # Bits of the sum, exact in float64.
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
    normal = ((total << (31 - bits)) + (1 << 13)) >> 14
    inverse = one_over(np.clip(normal - 3 * (1 << 15), -32768, 32767))
    shift = bits - 1
    rounding = np.left_shift(1, shift - 1)
    return np.asarray(np.clip((powers * inverse + rounding) >> shift, 0, 32767))


def _multiplied(values: Array, multiplier: int, exponent: int) -> Array:
    """`values` (not above 0) times multiplier * 2^(exponent - 31), rounded twice."""
    product = (values << max(exponent, 0)) * multiplier
    high = -((-product + (1 << 30) - 1) >> 31)
    right = max(-exponent, 0)
    return np.asarray(-((-high + ((1 << right) >> 1)) >> right))
