"""Finite numbers: values that are infinite or not a number are refused where they enter."""

from __future__ import annotations

import math

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError

__all__ = ["finite_figure", "require_finite"]


def require_finite(where: str, name: str, array: Array) -> None:
    """Refuse an array of floats that holds NaN or an infinity.

    Raises `ModelError` that names `where` it was found, the array and the index of the first.
    """
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array)
    lost = array.size - int(np.count_nonzero(finite))
    if not lost:
        return
    index = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), array.shape))
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    more = f", and {lost - 1:,} more values are not finite" if lost > 1 else ""
    raise ModelError(
        f"{where}: {place} is {array[index]}{more}",
        cure="save finite numbers: leave out the rows without a value, or give them one",
    )


def finite_figure(name: str, value: float, outputs: Array, labels: Array) -> float:
    """`value` of the metric `name`; raises `ModelError` if it is not a finite number."""
    if math.isfinite(value):
        return value
    raise ModelError(
        f"{name} is {value}: outputs run from {outputs.min():g} to {outputs.max():g}, "
        f"labels from {labels.min():g} to {labels.max():g}",
        cure="check that the labels are in the unit of the model's outputs",
    )
