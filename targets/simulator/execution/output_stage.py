"""From accumulators to stored values: bias, scale, zero point, clamp, activation.

Exact arithmetic on int64 takes a dozen passes over the accumulators and would take most of a
convolution's time. For each channel, an 8-bit output is a monotonic staircase of at most 256 steps
over the accumulator. Such a staircase equals `floor(m * acc + b)` if the two agree on both sides of
every step. So a floating-point line is fitted to the steps, *checked at every step with the same
operations that will run*, and used only if the check proves it equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.arrays import Array
from targets.artefact.stream.operations import ActivationFunction, Rounding
from targets.simulator.execution.activation import Activator
from targets.simulator.execution.arithmetic import MAX_PRODUCT, scale

__all__ = ["FLOAT32_EXACT", "OutputStage", "Scaling"]

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
_Selection = slice | NDArray[np.intp]

#: Integers below these are exact in float32 and float64.
FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53

#: Channels are fitted in groups, to bound the memory.
_GROUP = 1024
#: Beyond this shift a step times 2^shift no longer fits an int64.
_MAX_SHIFT = 52


@dataclass(frozen=True)
class Scaling:
    """`round((acc + bias) * multiplier / 2^shift) + zero_point`; int64 arrays `[channels or 1]`."""

    bias: Ints
    multiplier: Ints
    shift: Ints
    rounding: Rounding
    zero_point: int

    def __call__(self, accumulators: Ints) -> Ints:
        """Exact, on int64 `[..., channels]`."""
        biased = accumulators + self.bias
        return scale(biased, self.multiplier, self.shift, self.rounding) + self.zero_point

    def spread(self, channels: int = 1) -> Scaling:
        """The same scaling, with an entry for every channel in each array.

        There are `channels` of them if all arrays have one entry.
        """
        bias, multiplier, shift, _ = np.broadcast_arrays(
            self.bias, self.multiplier, self.shift, np.empty(channels)
        )
        return replace(self, bias=bias, multiplier=multiplier, shift=shift)

    def part(self, channels: _Selection) -> Scaling:
        """Some of the channels, of a scaling with an entry for every channel."""
        return replace(
            self,
            bias=self.bias[channels],
            multiplier=self.multiplier[channels],
            shift=self.shift[channels],
        )

    @property
    def twice(self) -> NDArray[np.bool_]:
        """The channels that are rounded a second time."""
        return np.asarray((self.shift > 31) & (self.rounding is Rounding.TFL))


@dataclass(frozen=True)
class _Line:
    """`floor(m * acc + b)`, clipped to 0..top, in the dtype of `m` and `b`.

    With a `kink` it is `floor(y + copysign(kink, y) + offset)`, where y is `m * acc + b`.
    """

    m: Floats
    b: Floats
    kink: Floats | None
    offset: float
    top: int

    def __call__(self, accumulators: Floats) -> NDArray[np.uint8]:
        """uint8 of the same shape. `accumulators` is overwritten."""
        y = accumulators
        y *= self.m
        y += self.b
        if self.kink is not None:
            y += np.copysign(self.kink, y)
            y += y.dtype.type(self.offset)
        np.maximum(y, 0, out=y)
        np.minimum(y, self.top, out=y)
        # No longer negative, so dropping the fraction is floor.
        return y.astype(np.uint8)

    def part(self, channels: _Selection) -> _Line:
        """Some of the channels."""
        kink = None if self.kink is None else self.kink[channels]
        return replace(self, m=self.m[channels], b=self.b[channels], kink=kink)


class OutputStage:
    """Turns the accumulators of one operation into what its OFM stores.

    `bound` is the largest magnitude that an accumulator can have before the bias: one for all
    channels, or int64 `[channels]`.
    """

    def __init__(self, scaling: Scaling, activator: Activator, bound: int | Ints) -> None:
        self._scaling = scaling
        self._activator = activator
        self._ofm = np.dtype(activator.ofm.value)
        channels = scaling.spread()
        bounds = np.broadcast_to(np.asarray(bound, np.int64), channels.bias.shape)
        self._channels, self._bounds = channels, bounds

    @cached_property
    def _line(self) -> _Line | None:
        """Fitted when it is needed: machine code does without."""
        return _fit_any(self._channels, self._activator.clamp, self._bounds)

    @cached_property
    def _finish(self) -> Callable[[NDArray[np.uint8]], Array]:
        assert self._activator.clamp is not None
        return _finisher(self._activator, *self._activator.clamp)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the computation: float32 or float64 if proven exact, otherwise int64."""
        return np.dtype(np.int64) if self._line is None else self._line.m.dtype

    def __call__(self, accumulators: Array) -> Array:
        """Accumulators `[..., channels]`, integers of any dtype -> the OFM's dtype.

        Floating-point accumulators are overwritten.
        """
        line = self._line
        if line is None:
            values = self._activator(self._scaling(accumulators.astype(np.int64)))
            return values.astype(self._ofm)
        return self._finish(line(accumulators.astype(line.m.dtype, copy=False)))

    def unscaled(self, values: Ints) -> Array:
        """The result for a scale of 1: `values` (int64) with zero point, clamp and function."""
        return self._activator(values + self._scaling.zero_point).astype(self._ofm)


def _finisher(activator: Activator, low: int, high: int) -> Callable[[NDArray[np.uint8]], Array]:
    """From 0-based steps to stored values."""
    dtype = np.dtype(activator.ofm.value)
    if dtype.itemsize > 1 or activator.activation.function is not ActivationFunction.NONE:
        values = activator(np.arange(low, high + 1, dtype=np.int64)).astype(dtype)
        table = np.zeros(256, dtype)
        table[: len(values)] = values
        if dtype.itemsize > 1:
            return lambda steps: table[steps]
        translation = table.tobytes()
        return lambda steps: np.frombuffer(steps.tobytes().translate(translation), dtype).reshape(
            steps.shape
        )
    first = np.uint8(low & 0xFF)

    def shift(steps: NDArray[np.uint8]) -> Array:
        steps += first
        return steps.view(dtype)

    return shift


def _fit_any(scaling: Scaling, clamp: tuple[int, int] | None, bounds: Ints) -> _Line | None:
    """A line in the narrowest type that has one; None if there is none."""
    if clamp is None or not 0 <= clamp[1] - clamp[0] <= 255:
        return None
    greatest = (bounds + np.abs(scaling.bias)).astype(np.float64) * np.abs(scaling.multiplier)
    if scaling.rounding is Rounding.TRUNCATE or greatest.max() >= MAX_PRODUCT / 2:
        return None
    ends = np.clip(scaling(np.stack([-bounds, bounds])), *clamp)
    # Channels emptied by pruning have one value, and scales to which no line can be fitted.
    live = np.flatnonzero(ends[0] != ends[1])
    varying = scaling.part(live)
    if len(live) and (varying.multiplier.min() < 1 or varying.shift.max() > _MAX_SHIFT):
        return None
    for kind, limit in ((np.float32, FLOAT32_EXACT), (np.float64, FLOAT64_EXACT)):
        if bounds.max() < limit:
            line = _fit(varying, *clamp, bounds[live], np.dtype(kind))
            if line is not None:
                return _with_constants(line, live, ends[0] - clamp[0])
    return None


def _with_constants(line: _Line, live: NDArray[np.intp], steps: Ints) -> _Line:
    """`line` for the channels `live`; the others give their entry of `steps`."""
    m = np.zeros(len(steps), line.m.dtype)
    b = (steps + (0.5 - line.offset)).astype(m.dtype)
    m[live], b[live] = line.m, line.b
    kink = None
    if line.kink is not None:
        kink = np.zeros_like(m)
        kink[live] = line.kink
    return replace(line, m=m, b=b, kink=kink)


def _fit(scaling: Scaling, low: int, high: int, bounds: Ints, dtype: np.dtype[Any]) -> _Line | None:
    """A line that equals `scaling`, clamped to low..high, for every |accumulator| <= bounds."""
    channels = len(scaling.bias)
    zero_point = scaling.zero_point
    m = (scaling.multiplier / np.exp2(scaling.shift)).astype(dtype)
    # Double rounding moves every step by 2^30 / 2^shift towards zero, on both sides of it.
    # This differs from another offset only if there are steps on both sides.
    kinked = low < zero_point < high and bool(scaling.twice.any())
    kink = np.where(scaling.twice, np.exp2(30.0 - scaling.shift), 0.0) * kinked
    offset = zero_point - low + 0.5 if kinked else 0.0
    steps = np.arange(low + 1, high + 1, dtype=np.int64)[:, np.newaxis]
    side = np.where(steps > zero_point, 1, -1)
    b = np.zeros(channels, dtype)
    line = _Line(m, b, kink.astype(dtype) if kinked else None, offset, high - low)
    for start in range(0, channels, _GROUP):
        part = slice(start, start + _GROUP)
        bound = bounds[part]
        first = np.clip(_first_accumulators(scaling.part(part), steps), -bound, bound + 1)
        reached = (steps - low) - offset - side * kink[part]
        fitted = _offsets(reached, m[part].astype(np.float64), first, bound)
        if fitted is None:
            return None
        b[part] = fitted
        if not _agrees(line.part(part), scaling.part(part), first, low, bound):
            return None
    return line


def _first_accumulators(scaling: Scaling, steps: Ints) -> Ints:
    """The smallest accumulator with which `scaling` reaches each step, `[steps, channels]`.

    This is the inverse of `scale`.
    """
    relative = steps - scaling.zero_point
    need = (relative << scaling.shift) - ((np.int64(1) << scaling.shift) >> 1)
    need -= np.where(scaling.twice, np.int64(1) << 30, 0)
    need += np.where(scaling.twice & (relative <= 0), np.int64(1) << 31, 0)
    return np.asarray(-(-need // scaling.multiplier) - scaling.bias)


def _offsets(
    steps: Floats, m: NDArray[np.float64], first: Ints, bound: Ints
) -> NDArray[np.float64] | None:
    """Offsets `b` with which `m * acc + b` reaches each step at `first` and not before it.

    They are the middle of the possible range, `[channels]`; None if there is no such offset.
    """
    if not len(first):
        return np.zeros(len(m))
    # A step that no accumulator reaches sets only one limit.
    at_least = np.where(first > bound, -np.inf, steps - first * m).max(axis=0)
    below = np.where(first <= -bound, np.inf, steps - (first - 1) * m).min(axis=0)
    at_least = np.where(np.isneginf(at_least), below - 1, at_least)
    below = np.where(np.isposinf(below), at_least + 1, below)
    return None if np.any(at_least >= below) else np.asarray((at_least + below) / 2)


def _agrees(line: _Line, scaling: Scaling, first: Ints, low: int, bound: Ints) -> bool:
    """Whether `line` equals the clamped `scaling` on both sides of every step, and at the ends.

    `first` has the supposed positions of the steps, which are checked too. Both functions are
    monotonic, so they then agree on every accumulator within `bound`.
    """
    ends = np.stack([-bound, bound])
    before, at = np.maximum(first - 1, -bound), np.minimum(first, bound)
    exact = np.clip(scaling(np.concatenate([before, at, ends])), low, low + line.top) - low
    steps = np.arange(1, line.top + 1)[:, np.newaxis]
    known = np.all((exact[: len(first)] < steps) | (first <= -bound)) and np.all(
        (exact[len(first) : -2] >= steps) | (first > bound)
    )
    points = np.concatenate([before, at, ends]).astype(line.m.dtype)
    return bool(known) and np.array_equal(line(points), exact)
