"""Batches of inputs: what a model takes, and whether given arrays fit.

A batch is either `n` independent rows, `[n, ...]`, or `n` streams of as many steps, `[n, steps,
...]`. In a stream each inference continues from the state that the last one has left. The number of
dimensions says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bench.core.arrays import Array

__all__ = ["MISFIT_CURE", "Slot", "leading_of", "misfit", "row_shape", "steps_of"]

MISFIT_CURE = "give one array for each model input, in the model's own dtype, at least one row"


class Shaped(Protocol):
    """An array, or the header of one."""

    @property
    def ndim(self) -> int:
        """Its number of dimensions."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        ...


class Slot(Protocol):
    """A tensor that takes an array: whatever has a name, a type and a shape."""

    @property
    def name(self) -> str:
        """The tensor's name."""
        ...

    @property
    def dtype(self) -> str:
        """NumPy's name of its type."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Its own shape, with the batch dimension of 1 if it has one."""
        ...


def row_shape(slot: Slot) -> tuple[int, ...]:
    """The shape of one row of a batch: without the batch dimension of 1."""
    return slot.shape[1:] if slot.shape[:1] == (1,) else slot.shape


def leading_of(slots: Sequence[Slot], arrays: Sequence[Shaped]) -> tuple[str, ...]:
    """The names of the leading dimensions: `n` of rows, `n` and `steps` of streams."""
    if slots and arrays and arrays[0].ndim == len(row_shape(slots[0])) + 2:
        return ("n", "steps")
    return ("n",)


def steps_of(slots: Sequence[Slot], arrays: Sequence[Shaped]) -> int | None:
    """How many steps the streams of a batch have; None for independent rows."""
    return arrays[0].shape[1] if len(leading_of(slots, arrays)) > 1 else None


def misfit(
    slots: Sequence[Slot], arrays: Sequence[Array], leading: Sequence[str] | None = None
) -> str:
    """What keeps `arrays` from being a batch for `slots`; empty if they are one.

    Each array must be of its slot's dtype and `[*leading, *row_shape]`; the leading sizes, named
    by `leading` (None: those of rows or streams), must be the same for all arrays, and above 0.
    """
    if leading is None:
        leading = leading_of(slots, arrays)
    if len(arrays) != len(slots):
        return f"it takes {len(slots)} inputs, {len(arrays)} were given"
    for slot, array in zip(slots, arrays, strict=True):
        shape = row_shape(slot)
        if array.dtype.name != slot.dtype or array.shape[len(leading) :] != shape:
            wanted = ", ".join((*leading, *map(str, shape)))
            return (
                f"input {slot.name!r} takes {slot.dtype} [{wanted}], "
                f"given {array.dtype.name} {list(array.shape)}"
            )
    sizes = sorted({array.shape[: len(leading)] for array in arrays})
    if len(sizes) != 1 or 0 in sizes[0]:
        found = [size[0] if len(leading) == 1 else list(size) for size in sizes]
        what = "rows" if len(leading) == 1 else " x ".join(leading)
        return f"the inputs have {found} {what}; one number above 0 is wanted"
    return ""
