"""Finite numbers: values that are infinite or not a number are refused where they enter."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.core.npz import ArrayHeader

__all__ = ["FiniteCheck", "not_finite"]


@dataclass
class FiniteCheck:
    """Looks for NaN and infinities in an array that comes in pieces."""

    header: ArrayHeader
    _seen: int = field(default=0, init=False)
    _lost: int = field(default=0, init=False)
    #: Place of the first in the array, the last index varying fastest, and its value.
    _first: tuple[int, object] | None = field(default=None, init=False)

    def see(self, piece: Array) -> None:
        """Take the next values, `[m]`, in the order in which the array is stored."""
        if self.header.dtype.kind == "f":
            lost = np.flatnonzero(~np.isfinite(piece))
            if lost.size:
                self._lost += lost.size
                self._note(piece, lost)
        self._seen += piece.size

    def require_finite(self, where: str, name: str) -> None:
        """Raise `ModelError` if a value was not finite; it names the first one by its index."""
        if self._first is None:
            return
        place, value = self._first
        index = np.unravel_index(place, self.header.shape)
        at = f"{name}[{', '.join(map(str, map(int, index)))}]" if index else name
        more = f", and {self._lost - 1:,} more values are not finite" if self._lost > 1 else ""
        raise ModelError(
            f"{where}: {at} is {value}{more}",
            cure="save finite numbers: leave out the rows without a value, or give them one",
        )

    def _note(self, piece: Array, lost: Array) -> None:
        places = self._seen + lost
        if self.header.fortran:
            shape = self.header.shape
            places = np.ravel_multi_index(np.unravel_index(places, shape, order="F"), shape)
        earliest = int(np.argmin(places))
        if self._first is None or places[earliest] < self._first[0]:
            self._first = int(places[earliest]), piece[lost[earliest]]


def not_finite(
    name: str, value: float, outputs: tuple[float, float], labels: tuple[float, float]
) -> ModelError:
    """The metric `name` is `value`, which is no number.

    `outputs` and `labels` are the least and the largest of each.
    """
    return ModelError(
        f"{name} is {value}: outputs run from {outputs[0]:g} to {outputs[1]:g}, "
        f"labels from {labels[0]:g} to {labels[1]:g}",
        cure="check that the labels are in the unit of the model's outputs",
    )
