"""Operations whose output depends on a single input byte: 256 results, then a look-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.arrays import Array

__all__ = ["ByteTable"]


class ByteTable:
    """`function`, an elementwise map of int64 values, tabulated for every value of `dtype`."""

    def __init__(
        self, function: Callable[[NDArray[np.int64]], Array], dtype: np.dtype[Any]
    ) -> None:
        inputs = np.arange(256, dtype=np.uint8).view(dtype).astype(np.int64)
        self._table = np.ascontiguousarray(function(inputs))
        self._bytes = self._table.tobytes() if self._table.itemsize == 1 else None

    def __call__(self, values: Array) -> Array:
        """Look up `values`, an array of the table's input type; same shape, output type."""
        if self._bytes is None:
            return self._table[values.view(np.uint8)]
        # bytes.translate needs no array of indices, which would be eight times larger.
        found = values.tobytes().translate(self._bytes)
        return np.frombuffer(found, self._table.dtype).reshape(values.shape)
