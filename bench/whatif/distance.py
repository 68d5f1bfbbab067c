"""How far the outputs of a model are from those of another, for the same inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.core.arrays import Array, row_slices
from bench.core.schema import RecordModel

__all__ = ["OutputDistance", "distance"]


class OutputDistance(RecordModel):
    """All outputs together. It says how much changes, not whether the answers get worse."""

    #: Inputs that were compared.
    samples: int
    #: Share of the elements that differ, 0..1.
    changed: float
    #: The largest difference, in quantisation steps.
    largest: int
    #: Cosine similarity of all elements around their zero points, in real values: 1 is the same
    #: direction. None if all elements of a side are 0.
    cosine: float | None


def distance(
    before: Sequence[Array],
    after: Sequence[Array],
    scales: Sequence[float],
    zero_points: Sequence[int],
) -> OutputDistance:
    """The distance from `before` to `after`: an array `[n, ...]` for each of the model's outputs.

    `scales` and `zero_points` are those of each output; 1 and 0 for counts.
    """
    elements = changed = largest = 0
    dot = norm_before = norm_after = 0.0
    for old, new, scale, zero_point in zip(before, after, scales, zero_points, strict=True):
        for part in row_slices(len(old), old[:1].nbytes):
            one, other = old[part].astype(np.int64), new[part].astype(np.int64)
            steps = np.abs(one - other)
            elements += steps.size
            changed += int(np.count_nonzero(steps))
            largest = max(largest, int(steps.max(initial=0)))
            real_one, real_other = scale * (one - zero_point), scale * (other - zero_point)
            dot += float(np.sum(real_one * real_other))
            norm_before += float(np.sum(np.square(real_one)))
            norm_after += float(np.sum(np.square(real_other)))
    norm = math.sqrt(norm_before) * math.sqrt(norm_after)
    return OutputDistance(
        samples=len(before[0]),
        changed=changed / elements,
        largest=largest,
        cosine=min(1.0, dot / norm) if norm else None,
    )
