"""Watching memory accesses from outside of the code that checks them.

The simulator checks addresses once, while preparing, and then builds NumPy views with
`as_strided`, which believes everything. `guarded` replaces the memory that operations get, and
the `as_strided` that they use: slices must lie within their region as written (NumPy would wrap
negative ones and cut long ones), and a view must stay within the region it was taken from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.lib import stride_tricks
from numpy.lib.array_utils import byte_bounds

from targets.simulator import graph
from targets.simulator.execution import dma, feature_maps, windows
from targets.simulator.execution.memory import Bytes, Memory, MemoryMap

__all__ = ["OutOfRegionError", "guarded"]

Array = np.ndarray[Any, Any]


class OutOfRegionError(Exception):
    """An access left its region. No `BenchError`: it is always a finding."""


class _Region(np.ndarray[Any, Any]):
    """A region's bytes, `[rows, size]`, or a slice of them that remembers the region."""

    region: Array | None = None

    def __array_finalize__(self, parent: object) -> None:
        self.region = getattr(parent, "region", None)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], slice):
            first, end = key[1].start, key[1].stop
            if not 0 <= first <= end <= self.shape[1]:
                raise OutOfRegionError(f"slice {first}:{end} of {self.shape[1]} bytes")
        return super().__getitem__(key)


class _GuardedMemory(Memory):
    def __init__(self, layout: MemoryMap, storages: Mapping[int, Bytes], rows: int) -> None:
        super().__init__(layout, storages, rows)
        for index, content in self._regions.items():
            if content.shape[1] != layout.regions[index].size:
                raise OutOfRegionError(f"region {index} is not as long as its checks believe")
            region = content.view(_Region)
            region.region = content
            self._regions[index] = region


def _guarded_strided(
    x: Array, shape: tuple[int, ...], strides: tuple[int, ...], *, writeable: bool = True
) -> Array:
    """`as_strided`, each row of whose result lies in the same row of where `x` is from."""
    view = stride_tricks.as_strided(np.asarray(x), shape, strides, writeable=writeable)
    whole = getattr(x, "region", None)
    if whole is None:
        # Windows and bricks: nothing but the elements of the array itself.
        _check(view, x)
    elif len(whole):
        _check(view[:1], whole[:1])
        _check(view[-1:], whole[-1:])
    return view


def _check(view: Array, whole: Array) -> None:
    low, high = byte_bounds(view)
    least, greatest = byte_bounds(whole)
    if view.size and not least <= low <= high <= greatest:
        raise OutOfRegionError(
            f"a view of bytes {low - least}..{high - least} of {greatest - least}"
        )


@contextmanager
def guarded() -> Iterator[None]:
    """Have every access of every simulator watched."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(graph, "Memory", _GuardedMemory))
        for module in (feature_maps, dma, windows):
            patches.enter_context(patch.object(module, "as_strided", _guarded_strided))
        yield
