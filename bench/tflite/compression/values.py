"""Pruning and clustering of quantised values. Pure functions of arrays.

There are two ways to choose the values that weights share. `spread` spaces them evenly, as training
does that begins with them so (tfmot's linear initialisation) and hardly moves them. `cluster` finds
those that change the weights least. Their sizes differ: even spacing leaves most weights in a few
clusters around zero, whose codes are short.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.core.arrays import Array

__all__ = ["cluster", "prune", "spread"]

_Floats = npt.NDArray[np.float64]


def prune(values: Array, zero_point: int, scales: _Floats, sparsity: float) -> Array:
    """`values` with at least the share `sparsity` of them at `zero_point`, which stands for 0.

    Magnitude pruning, as training does it: over the whole tensor, the weights with the smallest
    real magnitude become zero; among equal ones the first. `scales` broadcasts to the shape of
    `values`. Exactly `round(sparsity * n)` of n weights are zero, or more if they were before.
    """
    magnitudes = np.abs(values.astype(np.int64) - zero_point) * scales
    zeros = round(sparsity * values.size)
    smallest = np.argsort(magnitudes, axis=None, kind="stable")[:zeros]
    pruned: Array = values.copy()
    pruned.reshape(-1)[smallest] = zero_point
    return pruned


def spread(values: Array, zero_point: int, clusters: int) -> Array:
    """`values` with at most `clusters` different ones, evenly spaced.

    What is at `zero_point` stays there. If anything is, zero is one of the clusters, and the others
    are divided between the weights below and above as these are, each part evenly spaced between
    its ends: so does tfmot where it preserves sparsity.
    """
    found = np.unique(values)
    if len(found) <= clusters:
        same: Array = values.copy()
        return same
    ends = values[values < zero_point], values[values > zero_point]
    if zero_point not in found:
        centres = np.linspace(found[0], found[-1], clusters)
    else:
        below = round((clusters - 1) * ends[0].size / (ends[0].size + ends[1].size))
        counts = (below, clusters - 1 - below)
        parts = [
            np.linspace(part.min(), part.max(), count)
            for part, count in zip(ends, counts, strict=True)
            if count
        ]
        centres = np.concatenate([[zero_point], *parts])
    stored = np.unique(np.rint(centres).astype(np.int64))
    nearest = np.abs(found.astype(np.int64)[:, np.newaxis] - stored).argmin(axis=1)
    clustered: Array = stored[nearest].astype(values.dtype)[np.searchsorted(found, values)]
    return clustered


def cluster(values: Array, zero_point: int, scales: _Floats, clusters: int) -> Array:
    """`values` with at most `clusters` different ones, the least squares away from those before.

    What is at `zero_point` stays there, so zeros are kept; if there are any, zero is one of the
    clusters. `scales` broadcasts to the shape of `values`: an error counts by its real size.

    It is k-means in one dimension, where the clusters are intervals, so the optimum is found:
    dynamic programming over the values that occur (Wang and Song, "Ckmeans.1d.dp", The R Journal
    3/2, 2011), with centres that are stored values themselves.
    """
    kept = values == zero_point
    others, places = np.unique(values[~kept].astype(np.int64), return_inverse=True)
    room = clusters - int(kept.any())
    clustered: Array = values.copy()
    if len(others) <= room:
        return clustered
    if room < 1:
        raise ValueError(f"{clusters} clusters leave none for the weights that are not zero")
    weights = np.broadcast_to(np.square(scales), values.shape)[~kept]
    masses: _Floats = np.bincount(
        places.reshape(-1), weights=weights, minlength=len(others)
    ).astype(np.float64)
    clustered[~kept] = _centres(others, masses, room)[places.reshape(-1)]
    return clustered


def _centres(values: npt.NDArray[np.int64], masses: _Floats, clusters: int) -> Array:
    """For each of the rising `values`, the centre of its cluster.

    `masses` say how much each value counts; there are more values than `clusters`.
    """
    costs, centres = _intervals(values, masses)
    count = len(values)
    # best[j]: the least cost of the first j values in as many clusters as were placed so far.
    best = np.concatenate([[0.0], np.full(count, np.inf)])
    firsts = np.zeros((clusters, count + 1), np.int64)
    for number in range(clusters):
        # Row i, column j: the last cluster holds the values i..j-1.
        through = best[:count, np.newaxis] + costs
        firsts[number, 1:] = through.argmin(axis=0)
        best = np.concatenate([[np.inf], through.min(axis=0)])
    found, end = np.empty(count, values.dtype), count
    for number in reversed(range(clusters)):
        first = int(firsts[number, end])
        found[first:end] = centres[first, end - 1]
        end = first
    return found


def _intervals(values: npt.NDArray[np.int64], masses: _Floats) -> tuple[_Floats, Array]:
    """The cost and the centre of each cluster of neighbours.

    `[n, n]` both: row i, column j is the cluster of `values[i..j]`; the cost is infinite for j < i.
    """
    real = values.astype(np.float64)
    sums = [np.concatenate([[0.0], np.cumsum(masses * real**power)]) for power in (0, 1, 2)]
    mass, first, second = (each[np.newaxis, 1:] - each[:-1, np.newaxis] for each in sums)
    there = np.triu(np.ones((len(values), len(values)), bool))
    centres = np.rint(np.divide(first, mass, out=np.zeros_like(first), where=there))
    costs = second - 2 * centres * first + centres**2 * mass
    return np.where(there, np.maximum(costs, 0.0), np.inf), centres.astype(values.dtype)
