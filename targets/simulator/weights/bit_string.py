"""Random access to the bits of a weight stream."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["GUARD_BYTES", "BitString", "Integers", "MalformedError"]

Integers = NDArray[np.int64]

#: Zeros that `scalars` and `gather` can read after the stream.
GUARD_BYTES: Final = 64


class MalformedError(Exception):
    """The hardware could not decode the stream; raised at bit `position`."""

    def __init__(self, what: str, position: int) -> None:
        super().__init__(what)
        self.position = position


class BitString:
    """Random access to the bits of a stream, least significant bit first."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self.count = 8 * data.size
        padded = np.concatenate([data, np.zeros(GUARD_BYTES + 8, np.uint8)])
        starts = data.size + GUARD_BYTES
        # The 64 bits from each byte on: one look-up and one shift give the bits p .. p+56.
        #: The stream and the guard.
        self.bytes = padded
        self.words = np.ndarray((starts,), "<u8", buffer=padded, strides=(1,)).astype(np.uint64)
        self.scalars = memoryview(self.words)

    def get(self, position: int, width: int) -> int:
        """One field of at most 57 bits."""
        if position + width > self.count:
            raise MalformedError("the stream ends inside a slice", position)
        word: int = self.scalars[position >> 3]
        return word >> (position & 7) & (1 << width) - 1

    def gather(self, positions: Integers, width: int) -> Integers:
        """The fields of `width` bits at all `positions`."""
        words: NDArray[np.uint64] = self.words[positions >> 3]
        words >>= (positions & 7).astype(np.uint64)
        words &= np.uint64((1 << width) - 1)
        return words.view(np.int64)
