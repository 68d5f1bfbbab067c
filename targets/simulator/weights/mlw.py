"""Decoder of the Ethos-U55's compressed weight streams.

A stream is a little-endian bit string of slices. A slice has a header, possibly a palette, and
chunks. A chunk carries up to 12 weights and the lengths of the zero runs between them, both
Golomb-Rice coded: the unary quotients of one chunk come first, and their remainders follow after
the quotients of the next chunk. The format is that of Arm's `mlw_decode.c` in the sdist of Vela
5.2.0; the tests compare with the codec of the same version.

`numbers` reads the numbers of a slice. Here they become weights.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from targets.artefact.errors import WeightStreamError
from targets.simulator.native.kernels import Function, Kernels, SliceScan
from targets.simulator.weights.bit_string import BitString, Integers, MalformedError
from targets.simulator.weights.numbers import read_numbers
from targets.simulator.weights.slices import Palette, Slice, next_slice, read_header

__all__ = ["MAX_WEIGHTS_PER_BYTE", "decode_stream"]

#: No stream decodes to more weights: a zero run is the densest code, 8 zeros per unary bit.
MAX_WEIGHTS_PER_BYTE: Final = 64

#: The hardware's weight index and sign-magnitude weight value have 9 bits.
_INDEX_LIMIT: Final = 512


def decode_stream(
    stream: NDArray[np.uint8],
    *,
    limit: int,
    word: int,
    operation: str,
    kernels: Kernels | None = None,
) -> NDArray[np.int16]:
    """The weights of a stream, in stream order.

    Args:
        stream: uint8 `[n]`.
        limit: more weights than this are an error; nothing larger is allocated.
        word: index of the command-stream word that uses the stream, for the error text.
        operation: name of the operation that uses it, for the error text.
        kernels: who makes machine code; None for Python and NumPy.

    Returns:
        int16 `[at most limit]`, each -255..255.

    Raises:
        WeightStreamError: the stream is malformed or holds more than `limit` weights.
    """
    bits = BitString(np.ascontiguousarray(stream))
    scan = None if kernels is None else kernels.function(SliceScan())
    try:
        return _decode(bits, limit, scan)
    except MalformedError as error:
        raise WeightStreamError(
            f"malformed weight stream at bit {error.position} of {bits.count}: {error}",
            word=word,
            operation=operation,
            cure="the model file is damaged, or the stream's address or length is wrong",
        ) from None


def _decode(bits: BitString, limit: int, scan: Function | None) -> NDArray[np.int16]:
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
        indices, runs, position = read_numbers(bits, position, header, scan)
        part = _expand(header, indices, runs, start, limit - total)
        total += part.size
        palette = header.palette
        slices.append(part)


def _expand(
    header: Slice, indices: Integers, runs: Integers, start: int, limit: int
) -> NDArray[np.int16]:
    """The weights of one slice, zero runs included."""
    values = _values(header, indices, start)
    if header.zero_divisor is None:
        return values
    total = header.weights + int(runs.sum())
    if total > limit:
        raise MalformedError(f"{total - limit} weights more than expected", start)
    # A run in front exists only after a new palette; the last run comes after the last weight.
    in_front = runs[: header.weights] if header.runs > header.weights else _shift(runs)
    result = np.zeros(total, np.int16)
    result[np.arange(header.weights) + np.cumsum(in_front)] = values
    return result


def _values(header: Slice, index: Integers, start: int) -> NDArray[np.int16]:
    """The coded weights of one slice."""
    palette = header.palette.values
    value = index - palette.size + header.palette.direct
    if palette.size:
        value = np.where(index < palette.size, palette[np.minimum(index, palette.size - 1)], value)
    if max(int(index.max()), int(value.max())) >= _INDEX_LIMIT:
        raise MalformedError("a weight has more than 9 bits", start)
    magnitude = value >> 1
    return np.where(value & 1, -magnitude, magnitude).astype(np.int16)


def _shift(runs: Integers) -> Integers:
    """Convert the runs after each weight to runs before it."""
    return np.concatenate([np.zeros(1, np.int64), runs[:-1]])
