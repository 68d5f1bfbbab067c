"""What a value of a random graph (and a second, its partner) must be for a step to take it.

Restrictions that come from Vela's faults stand here with their reason.
"""

from __future__ import annotations

import math

from tests.operators.growth import LARGEST, Growth
from tests.operators.network import Value


def elements(value: Value) -> int:
    """How many."""
    return math.prod(value.shape)


def feature_map(_: Growth, value: Value, __: Value) -> bool:
    """Height, width and depth."""
    return len(value.shape) == 4


def int8_map(growth: Growth, value: Value, _: Value) -> bool:
    """Of bytes."""
    return growth.dtype == "int8" and len(value.shape) == 4


def small_map(growth: Growth, value: Value, _: Value) -> bool:
    """Small enough to become four times as large."""
    return feature_map(growth, value, value) and elements(value) * 4 <= LARGEST


def whole_map(growth: Growth, value: Value, _: Value) -> bool:
    """No part of another value, either."""
    return small_map(growth, value, value) and value.index not in growth.parts


def broadcasts(_: Growth, value: Value, partner: Value) -> bool:
    """One shape fits into the other."""
    # Never both repeated: Vela mixes the operands up where they are one tensor, reshaped.
    if len(value.shape) != len(partner.shape):
        return False
    pairs = list(zip(value.shape, partner.shape, strict=True))
    return all(a == b or b == 1 for a, b in pairs) or all(a == b or a == 1 for a, b in pairs)


def unturned(growth: Growth, value: Value, _: Value) -> bool:
    """No transposition."""
    # Behind a transposition, Vela puts the table beyond the SHRAM of 32 and 64 MACs.
    return value.index not in growth.transposed


def tabulated(growth: Growth, value: Value, _: Value) -> bool:
    """For sigmoid and tanh."""
    # With a power of two for a scale, sigmoid and tanh of some inputs lie within 1e-4 of half a
    # quantum, and Vela's table (double) rounds them otherwise than TFLite-Micro (fixed point).
    exact = math.frexp(value.scale)[0] == 0.5
    # From 4 on, TFLite-Micro takes the step next to zero for one beyond its fixed point's range.
    wide = value.scale >= 4
    return not (growth.dtype == "int8" and (exact or wide)) and unturned(growth, value, value)


def unrequantised(growth: Growth, value: Value, _: Value) -> bool:
    """No requantisation."""
    return value.index not in growth.requantised


def unturned_int8(growth: Growth, value: Value, _: Value) -> bool:
    """No transposition, of bytes."""
    return growth.dtype == "int8" and unturned(growth, value, value)


def classes(growth: Growth, value: Value, _: Value) -> bool:
    """For softmax."""
    # TFLite-Micro ends the process where exponentials sum up to 512.
    return growth.dtype == "int8" and value.shape[-1] < 512


def placeable_map(growth: Growth, value: Value, _: Value) -> bool:
    """May be written into a part of what follows."""
    return feature_map(growth, value, value) and value.index not in growth.unplaceable


def joinable(growth: Growth, value: Value, partner: Value) -> bool:
    """Along the depth."""
    return (
        growth.unplaceable.isdisjoint((value.index, partner.index))
        and value.quantisation == partner.quantisation
        and len(value.shape) == len(partner.shape)
        and value.shape[:-1] == partner.shape[:-1]
        and elements(value) + elements(partner) <= LARGEST
    )


def axes(value: Value, least: int) -> list[int]:
    """Those with at least so many elements."""
    return [axis for axis in range(1, len(value.shape)) if value.shape[axis] >= least]


def divisible(_: Growth, value: Value, __: Value) -> bool:
    """Some axis has two elements."""
    return bool(axes(value, 2))


def whole_int8_map(growth: Growth, value: Value, _: Value) -> bool:
    """No part of another value, either."""
    return int8_map(growth, value, value) and value.index not in growth.parts


def anything(_: Growth, __: Value, ___: Value) -> bool:
    """Every value."""
    return True
