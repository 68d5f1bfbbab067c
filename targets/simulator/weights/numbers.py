"""The numbers of a slice: its weights' indices and the lengths of its zero runs.

Machine code reads them one after the other. Without it, Python finds the chunks (`slices`), and
NumPy does the rest for all of them at once. Both give the same; for the source of the format see
`mlw`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from targets.simulator.native.kernels import Function, SliceField
from targets.simulator.weights.bit_string import BitString, Integers, MalformedError
from targets.simulator.weights.slices import BALANCE, CHUNK, ENDS_INSIDE, Slice, scan_chunks

__all__ = ["read_numbers"]

#: For each value of a unary field: its bits, lowest first, and how many are set below each.
_ONES: Final[NDArray[np.uint8]] = (np.arange(1 << CHUNK)[:, None] >> np.arange(CHUNK) & 1).astype(
    np.uint8
)
_ONES_BEFORE: Final[NDArray[np.uint8]] = np.cumsum(_ONES, axis=1, dtype=np.uint8) - _ONES


def read_numbers(
    bits: BitString, position: int, header: Slice, scan: Function | None
) -> tuple[Integers, Integers, int]:
    """`(indices [weights], runs [header.runs], end)` of the slice whose chunks begin at `position`.

    `scan` is the machine code of `SliceScan`. Raises `MalformedError` if the stream is too short.
    """
    if scan is not None:
        return _scanned(bits, position, header, scan)
    chunks, end = scan_chunks(bits, position, header)
    if header.uncompressed:
        codes = np.zeros((len(chunks.remainders), header.symbols), np.uint8)
        ends = np.ones(codes.shape, np.bool_)
    else:
        # Each 1 of the first unary field has a bit in the second, which says if another 1 follows.
        unary0 = np.array(chunks.unary0, np.intp)
        second = np.array(chunks.unary1, np.uint16)[:, None] >> _ONES_BEFORE[unary0]
        codes = _ONES[unary0] + (second.astype(np.uint8) & _ONES[unary0])
        ends = np.ones(codes.shape, np.bool_) if header.truncated else codes < 2
    indices = _golomb_rice(bits, codes, ends, chunks.remainders, header.divisor, header.weights)
    if header.zero_divisor is None:
        return indices, np.zeros(0, np.int64), end
    ones = _ONES[np.array(chunks.zero_unary, np.intp), : header.zero_symbols]
    runs = _golomb_rice(
        bits, ones, ones == 0, chunks.zero_remainders, header.zero_divisor, header.runs
    )
    return indices, runs, end


def _scanned(
    bits: BitString, position: int, header: Slice, scan: Function
) -> tuple[Integers, Integers, int]:
    indices = np.empty(header.weights + CHUNK, np.int64)
    runs = np.empty(header.runs + CHUNK, np.int64)
    record = np.zeros(len(SliceField), np.int64)
    for field, number in (
        (SliceField.BYTES, bits.bytes.ctypes.data),
        (SliceField.BITS, bits.count),
        (SliceField.POSITION, position),
        (SliceField.WEIGHTS, header.weights),
        (SliceField.RUNS, header.runs),
        (SliceField.DIVISOR, header.divisor),
        (SliceField.ZERO_DIVISOR, header.zero_divisor or 0),
        (SliceField.SYMBOLS, header.symbols),
        (SliceField.ZERO_SYMBOLS, header.zero_symbols),
        (SliceField.COMPRESSED, not header.uncompressed),
        (SliceField.TRUNCATED, header.truncated),
        (SliceField.BALANCE, BALANCE),
        (SliceField.INDICES, indices.ctypes.data),
        (SliceField.RUN_LENGTHS, runs.ctypes.data),
    ):
        record[field] = number
    scan(record.ctypes.data)
    end = int(record[SliceField.POSITION])
    if end < 0:
        raise MalformedError(ENDS_INSIDE, -1 - end)
    return indices[: header.weights], runs[: header.runs], end


def _golomb_rice(
    bits: BitString,
    codes: NDArray[np.uint8],
    ends: NDArray[np.bool_],
    remainders: list[int],
    divisor: int,
    count: int,
) -> Integers:
    """The first `count` numbers of a slice.

    `codes` `[chunks, symbols]` says what each symbol adds to the quotient, and `ends` whether the
    quotient ends there; it may continue in the next chunk. `remainders` are the bit positions of
    the chunks' remainders, `divisor` is the width of one.
    """
    last = np.flatnonzero(ends)[:count]
    sums = np.cumsum(codes, dtype=np.int64)[last]
    quotients = np.diff(sums, prepend=0)
    # Within a chunk the remainders are adjacent: number n of the slice is number
    # n - first[chunk] of its chunk.
    chunk = last // codes.shape[1]
    sizes = np.count_nonzero(ends, axis=1)
    first = np.cumsum(sizes) - sizes
    base = np.array(remainders, np.int64) - first * divisor
    positions = base[chunk] + np.arange(count) * divisor
    return (quotients << divisor) + bits.gather(positions, divisor)
