"""From which point on more compression saves no time."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

__all__ = ["NEAR", "Gain", "find_knee"]

#: Within which share of the fewest cycles a point is as good as the best. The estimate has no
#: noise, but tilings of Vela's that differ by so little are no reason to compress more.
NEAR = 0.02

_P = TypeVar("_P")


class Gain(str, Enum):
    """What compression does to the cycles of a MAC count."""

    NONE = "no time is saved"
    KNEE = "there is a knee"
    FALLING = "the cycles fall to the last point"


def find_knee(cycles: Mapping[_P, float], sizes: Mapping[_P, float], base: _P) -> tuple[_P, Gain]:
    """The knee: the point with the largest encoded size that is within `NEAR` of the fewest cycles.

    `cycles` and `sizes` are those of each point, `base` the model as it is. The gain is NONE if the
    knee is `base` or a point as large, and FALLING if it is the smallest point of all: then more
    compression may save more.
    """
    fewest = min(cycles.values())
    near = [point for point, value in cycles.items() if value <= fewest * (1 + NEAR)]
    # Among equally large ones the first, which is the least compressed.
    knee = max(near, key=lambda point: sizes[point])
    if sizes[knee] >= sizes[base] or cycles[base] <= fewest * (1 + NEAR):
        return base, Gain.NONE
    smallest = min(sizes.values())
    return knee, Gain.FALLING if sizes[knee] == smallest else Gain.KNEE
