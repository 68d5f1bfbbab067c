"""Slices of a compressed weight stream: their headers, and where their chunks are.

The start of a chunk depends on the content of the previous one. So `scan_chunks` works
sequentially. It notes what it finds and interprets nothing. For the source of the format see `mlw`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from targets.simulator.weights.bit_string import BitString, Integers, MalformedError

__all__ = [
    "BALANCE",
    "CHUNK",
    "ENDS_INSIDE",
    "Chunks",
    "Palette",
    "Slice",
    "next_slice",
    "read_header",
    "scan_chunks",
]

#: Symbols in a unary field, and so weights in a chunk.
CHUNK: Final = 12

_END_OF_STREAM: Final = 7
_NO_ZERO_RUNS: Final = 6
_LAST_ZERO_DIVISOR: Final = 3
_UNCOMPRESSED: Final = 7
_LAST_WEIGHT_DIVISOR: Final = 5
#: How far the weights may be ahead of the zero runs.
BALANCE: Final = 8

#: What is wrong with a stream that is too short.
ENDS_INSIDE: Final = "the stream ends inside a slice"


@dataclass(frozen=True)
class Palette:
    """The meaning of weight indices: `values`, then direct values from `direct` on."""

    values: Integers
    direct: int
    bits: int
    zero_runs: bool


@dataclass(frozen=True)
class Slice:
    """A slice's header."""

    weights: int
    #: Bits of a weight's remainder.
    divisor: int
    #: No unary part at all.
    uncompressed: bool
    #: Quotients are at most 2, so that each takes one symbol.
    truncated: bool
    #: Bits of a zero run's remainder; None = the slice has no zero runs.
    zero_divisor: int | None
    #: Number of zero runs: one after each weight, and one in front if the palette is new.
    runs: int
    palette: Palette

    @property
    def symbols(self) -> int:
        """Weights in a chunk, unless quotients take more than one symbol."""
        return 8 if self.uncompressed and self.divisor > _LAST_WEIGHT_DIVISOR else CHUNK

    @property
    def zero_symbols(self) -> int:
        """Bits of the unary field of the zero runs."""
        return 8 if self.zero_divisor == _LAST_ZERO_DIVISOR else CHUNK


@dataclass(frozen=True)
class Chunks:
    """The chunks that `scan_chunks` found: unary fields, and where the remainders start."""

    unary0: list[int]
    unary1: list[int]
    remainders: list[int]
    zero_unary: list[int]
    zero_remainders: list[int]


def next_slice(bits: BitString, position: int) -> int | None:
    """Where the next slice starts, after any end markers; None at the end of the stream."""
    while bits.count - position >= 3:
        if bits.get(position, 3) != _END_OF_STREAM:
            return position
        position = (position + 3 + 7) & ~7
    left = max(bits.count - position, 0)
    if bits.get(position, left) != (1 << left) - 1:
        raise MalformedError("the last bits are neither a slice nor an end marker", position)
    return None


def read_header(bits: BitString, start: int, palette: Palette | None) -> tuple[Slice, int]:
    """The header at bit `start` and the position after it; `palette` is the last slice's."""
    zero_field = bits.get(start, 3)
    if _LAST_ZERO_DIVISOR < zero_field != _NO_ZERO_RUNS:
        raise MalformedError(f"zero-run divisor {zero_field} does not exist", start)
    zero_runs = zero_field != _NO_ZERO_RUNS
    weights = bits.get(start + 3, 15) + 1
    divisor = bits.get(start + 18, 3)
    truncated = bool(bits.get(start + 21, 1))
    new_palette = bool(bits.get(start + 22, 1))
    position = start + 23
    if new_palette:
        palette, position = _read_palette(bits, position, zero_runs)
    elif palette is None:
        raise MalformedError("the first slice defines no palette", start)
    elif palette.zero_runs != zero_runs:
        raise MalformedError("zero runs switched on or off without a new palette", start)

    uncompressed = divisor == _UNCOMPRESSED
    if uncompressed:
        size = palette.values.size
        divisor = (size - 1).bit_length() if size else palette.bits
    elif divisor > _LAST_WEIGHT_DIVISOR:
        raise MalformedError(f"weight divisor {divisor} does not exist", start)
    header = Slice(
        weights=weights,
        divisor=divisor,
        uncompressed=uncompressed,
        truncated=truncated,
        zero_divisor=zero_field if zero_runs else None,
        runs=weights + new_palette if zero_runs else 0,
        palette=palette,
    )
    return header, position


def _read_palette(bits: BitString, position: int, zero_runs: bool) -> tuple[Palette, int]:
    direct = bits.get(position, 5)
    last = bits.get(position + 5, 5)
    size = last + 1 if last else 0
    width = bits.get(position + 10, 3) + 2
    position += 13
    end = position + size * width
    bits.get(end, 0)  # raises if the palette is cut off
    values = bits.gather(np.arange(position, end, width), width)
    return Palette(values, direct, width, zero_runs), end


# One loop, because a call for each step would take as long as the step (decision 12).
def scan_chunks(  # noqa: PLR0915
    bits: BitString, position: int, header: Slice
) -> tuple[Chunks, int]:
    """Walk through the chunks of a slice. Returns what they hold and where the slice ends."""
    chunks = Chunks([], [], [], [], [])
    words, end = bits.scalars, bits.count
    weights, runs = header.weights, header.runs
    divisor, zero_divisor = header.divisor, header.zero_divisor or 0
    symbols, zero_symbols = header.symbols, header.zero_symbols
    zero_mask = (1 << zero_symbols) - 1
    compressed, truncated = not header.uncompressed, header.truncated

    done = runs_done = 0  # weights and zero runs whose quotients were read
    count = runs_count = 0  # those of this chunk; their remainders come in the next
    weights_before = runs_before = False
    while True:
        # The one that is too far ahead waits for the other.
        balance = done - runs_done if runs else 0
        weights_on = balance < BALANCE and done < weights
        runs_on = balance >= 0 and runs_done < runs
        word = words[position >> 3] >> (position & 7)
        start = position
        count_before, runs_count_before = count, runs_count
        if weights_on and compressed:
            unary0 = word & 0xFFF
            word >>= CHUNK
            start += CHUNK
        if runs_on:
            unary = word & zero_mask
            word >>= zero_symbols
            start += zero_symbols
            chunks.zero_unary.append(unary)
            runs_count = min(zero_symbols - unary.bit_count(), runs - runs_done)
            runs_done += runs_count
        if weights_on:
            count = symbols
            if compressed:
                ones = unary0.bit_count()
                unary1 = word & ((1 << ones) - 1)
                start += ones
                chunks.unary0.append(unary0)
                chunks.unary1.append(unary1)
                if not truncated:
                    count -= unary1.bit_count()
            if count > weights - done:
                count = weights - done
            done += count
        if weights_before:
            chunks.remainders.append(start)
            start += count_before * divisor
        if runs_before:
            chunks.zero_remainders.append(start)
            start += runs_count_before * zero_divisor
        # Checked once per chunk, which is shorter than the zeros that follow the stream.
        if start > end:
            raise MalformedError(ENDS_INSIDE, position)
        position = start
        if not (weights_on or runs_on):
            return chunks, position
        weights_before, runs_before = weights_on, runs_on
