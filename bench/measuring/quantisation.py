"""Real values as the integers of a quantised tensor, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.core.arrays import Array
from bench.core.errors import ModelError

__all__ = ["dequantise", "quantise", "real_range", "saturated"]


def quantise(values: Array, scale: float, zero_point: int, dtype: str) -> Array:
    """Real values as the integers of `dtype`: clamp(round(x / scale) + zero_point).

    This is TFLite's QUANTIZE (`AffineQuantize`): division in float32, halves rounded away from
    zero, saturation at the range of `dtype`. The shape is that of `values`. Raises `ModelError` for
    values that are not finite.
    """
    if not np.isfinite(values).all():
        raise ModelError(
            "cannot quantise values that are infinite or not a number",
            cure="clean the data",
        )
    # A value that is too large for float32, before or after division, saturates like any other.
    with np.errstate(over="ignore"):
        quotient = (values.astype(np.float32) / np.float32(scale)).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    bounds = np.iinfo(dtype)
    integers: Array = np.clip(rounded + zero_point, bounds.min, bounds.max).astype(dtype)
    return integers


def dequantise(values: Array, scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """Integers as real values, scale * (q - zero_point), in float32 like TFLite's DEQUANTIZE."""
    steps = (values.astype(np.int64) - zero_point).astype(np.float32)
    real: npt.NDArray[np.float32] = steps * np.float32(scale)
    return real


def real_range(scale: float, zero_point: int, dtype: str) -> tuple[float, float]:
    """The smallest and the largest real value that `dtype` can hold with these parameters."""
    bounds = np.iinfo(dtype)
    return scale * (int(bounds.min) - zero_point), scale * (int(bounds.max) - zero_point)


def saturated(values: Array, scale: float, zero_point: int, dtype: str) -> int:
    """How many of `values` are outside the range of `dtype` by more than rounding.

    Half a step beyond the range still rounds to its end; values further away are cut.
    """
    low, high = real_range(scale, zero_point, dtype)
    outside = (values < low - 0.5 * scale) | (values > high + 0.5 * scale)
    return int(np.count_nonzero(outside))
