"""Decoder of the Ethos-U55's compressed weight streams.

A stream is a little-endian bit string of slices. A slice has a header, possibly a palette, and
chunks. A chunk carries up to 12 weights and the lengths of the zero runs between them, both
Golomb-Rice coded: the unary quotients of one chunk come first, and their remainders follow after
the quotients of the next chunk. The format is that of Arm's `mlw_decode.c` in the sdist of Vela
5.2.0; the tests compare with the codec of the same version.

`slices` finds the chunks one after the other. Everything else is done here, with NumPy, for a whole
slice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from targets.artefact.errors import WeightStreamError
from targets.simulator.weights.bit_string import BitString, Integers, MalformedError
from targets.simulator.weights.slices import (
    CHUNK,
    Chunks,
    Palette,
    Slice,
    next_slice,
    read_header,
    scan_chunks,
)

__all__ = ["MAX_WEIGHTS_PER_BYTE", "decode_stream"]

#: No stream decodes to more weights: a zero run is the densest code, 8 zeros per unary bit.
MAX_WEIGHTS_PER_BYTE: Final = 64

#: The hardware's weight index and sign-magnitude weight value have 9 bits.
_INDEX_LIMIT: Final = 512
#: For each value of a unary field: its bits, lowest first, and how many are set below each.
_ONES: Final[NDArray[np.uint8]] = (np.arange(1 << CHUNK)[:, None] >> np.arange(CHUNK) & 1).astype(
    np.uint8
)
_ONES_BEFORE: Final[NDArray[np.uint8]] = np.cumsum(_ONES, axis=1, dtype=np.uint8) - _ONES


def decode_stream(
    stream: NDArray[np.uint8], *, limit: int, word: int, operation: str
) -> NDArray[np.int16]:
    """The weights of a stream, in stream order.

    Args:
        stream: uint8 `[n]`.
        limit: more weights than this are an error; nothing larger is allocated.
        word: index of the command-stream word that uses the stream, for the error text.
        operation: name of the operation that uses it, for the error text.

    Returns:
        int16 `[at most limit]`, each -255..255.

    Raises:
        WeightStreamError: the stream is malformed or holds more than `limit` weights.
    """
    bits = BitString(np.ascontiguousarray(stream))
    try:
        return _decode(bits, limit)
    except MalformedError as error:
        raise WeightStreamError(
            f"malformed weight stream at bit {error.position} of {bits.count}: {error}",
            word=word,
            operation=operation,
            cure="the model file is damaged, or the stream's address or length is wrong",
        ) from None


def _decode(bits: BitString, limit: int) -> NDArray[np.int16]:
    slices: list[NDArray[np.int16]] = []
    total = position = 0
    palette: Palette | None = None
    while True:
        start = next_slice(bits, position)
        if start is None:
            return np.concatenate(slices) if slices else np.zeros(0, np.int16)
        header, position = read_header(bits, start, palette)
        if total + header.weights > limit:
            raise MalformedError(f"more than the expected {limit} weights", start)
        chunks, position = scan_chunks(bits, position, header)
        part = _expand(bits, header, chunks, start, limit - total)
        total += part.size
        palette = header.palette
        slices.append(part)


def _expand(
    bits: BitString, header: Slice, chunks: Chunks, start: int, limit: int
) -> NDArray[np.int16]:
    """The weights of one slice, zero runs included."""
    values = _values(bits, header, chunks, start)
    if header.zero_divisor is None:
        return values
    ones = _ONES[np.array(chunks.zero_unary, np.intp), : header.zero_symbols]
    runs = _golomb_rice(
        bits, ones, ones == 0, chunks.zero_remainders, header.zero_divisor, header.runs
    )
    total = header.weights + int(runs.sum())
    if total > limit:
        raise MalformedError(f"{total - limit} weights more than expected", start)
    # A run in front exists only after a new palette; the last run comes after the last weight.
    in_front = runs[: header.weights] if header.runs > header.weights else _shift(runs)
    result = np.zeros(total, np.int16)
    result[np.arange(header.weights) + np.cumsum(in_front)] = values
    return result


def _values(bits: BitString, header: Slice, chunks: Chunks, start: int) -> NDArray[np.int16]:
    """The coded weights of one slice."""
    if header.uncompressed:
        codes = np.zeros((len(chunks.remainders), header.symbols), np.uint8)
        ends = np.ones(codes.shape, np.bool_)
    else:
        # Each 1 of the first unary field has a bit in the second, which says if another 1 follows.
        unary0 = np.array(chunks.unary0, np.intp)
        second = np.array(chunks.unary1, np.uint16)[:, None] >> _ONES_BEFORE[unary0]
        codes = _ONES[unary0] + (second.astype(np.uint8) & _ONES[unary0])
        ends = np.ones(codes.shape, np.bool_) if header.truncated else codes < 2
    index = _golomb_rice(bits, codes, ends, chunks.remainders, header.divisor, header.weights)
    palette = header.palette.values
    value = index - palette.size + header.palette.direct
    if palette.size:
        value = np.where(index < palette.size, palette[np.minimum(index, palette.size - 1)], value)
    if max(int(index.max()), int(value.max())) >= _INDEX_LIMIT:
        raise MalformedError("a weight has more than 9 bits", start)
    magnitude = value >> 1
    return np.where(value & 1, -magnitude, magnitude).astype(np.int16)


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


def _shift(runs: Integers) -> Integers:
    """Convert the runs after each weight to runs before it."""
    return np.concatenate([np.zeros(1, np.int64), runs[:-1]])
