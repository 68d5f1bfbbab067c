"""Writes compressed weight streams with every coding parameter chosen by the caller.

Vela's encoder picks the parameters itself and never uses many that the hardware has; a decoder
is only tested by streams that use them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Fields", "PaletteSpec", "SliceSpec", "pack", "slice_fields", "stream"]

#: A bit string as `(value, width)` pairs, lowest bit first.
Fields = list[tuple[int, int]]

END_MARKER = (7, 3)


@dataclass(frozen=True)
class PaletteSpec:
    """`values` has 0 or 2..32 entries of `bits` (2..9) bits."""

    values: tuple[int, ...] = ()
    bits: int = 9
    direct: int = 0


@dataclass(frozen=True)
class SliceSpec:
    """One slice. `divisor` None = uncompressed, `zero_divisor` None = no zero runs.

    `palette` None keeps the last slice's, whose size and bits are then `inherited`.
    """

    indices: tuple[int, ...]
    divisor: int | None
    truncated: bool = False
    zero_divisor: int | None = None
    runs: tuple[int, ...] = ()
    palette: PaletteSpec | None = None
    inherited: PaletteSpec = PaletteSpec()


def slice_fields(spec: SliceSpec) -> Fields:
    """The bits of one slice."""
    palette = spec.palette or spec.inherited
    fields: Fields = [
        (6 if spec.zero_divisor is None else spec.zero_divisor, 3),
        (len(spec.indices) - 1, 15),
        (7 if spec.divisor is None else spec.divisor, 3),
        (spec.truncated, 1),
        (spec.palette is not None, 1),
    ]
    if spec.palette is not None:
        size = len(palette.values)
        fields += [(palette.direct, 5), (max(size - 1, 0), 5), (palette.bits - 2, 3)]
        fields += [(value, palette.bits) for value in palette.values]
    return fields + _chunks(spec, palette)


def _chunks(spec: SliceSpec, palette: PaletteSpec) -> Fields:
    weights, width = _weight_chunks(spec, palette)
    runs = _run_chunks(spec)
    total, total_runs = len(spec.indices), len(spec.runs)
    fields: Fields = []
    done = runs_done = 0
    late: Fields = []
    while True:
        balance = done - runs_done if spec.runs else 0
        weights_on = balance < 8 and done < total
        runs_on = balance >= 0 and runs_done < total_runs
        remainders: Fields = []
        second: Fields = []
        if weights_on:
            codes = weights.pop(0)
            finished = len(codes) if spec.truncated or spec.divisor is None else _ended(codes)
            if spec.divisor is not None:
                fields += [(code > 0, 1) for code in codes]
                second = [(code == 2, 1) for code in codes if code]
            batch = spec.indices[done : done + finished]
            remainders += [(index & ((1 << width) - 1), width) for index in batch]
            done += len(batch)
        if runs_on:
            bits = runs.pop(0)
            fields += [(bit, 1) for bit in bits]
            ended = spec.runs[runs_done : runs_done + bits.count(0)]
            divisor = spec.zero_divisor or 0
            remainders += [(run & ((1 << divisor) - 1), divisor) for run in ended]
            runs_done += len(ended)
        fields += second + late
        if not (weights_on or runs_on):
            return fields
        late = remainders


def _ended(codes: Sequence[int]) -> int:
    """How many quotients end within untruncated `codes`."""
    return sum(code < 2 for code in codes)


def _weight_chunks(spec: SliceSpec, palette: PaletteSpec) -> tuple[list[list[int]], int]:
    """Quotient codes (0..2) of each chunk, and the width of a remainder."""
    codes: list[int] = []
    if spec.divisor is None:
        size = len(palette.values)
        width = (size - 1).bit_length() if size else palette.bits
        codes, chunk = [0] * len(spec.indices), 8 if width > 5 else 12
    else:
        width, chunk = spec.divisor, 12
        for index in spec.indices:
            quotient = index >> width
            if not spec.truncated:
                codes += [2] * (quotient // 2)
                quotient %= 2
            codes.append(quotient)
    return _pieces(codes, chunk), width


def _run_chunks(spec: SliceSpec) -> list[list[int]]:
    """Unary bits of each chunk."""
    bits: list[int] = []
    for run in spec.runs:
        bits += [1] * (run >> (spec.zero_divisor or 0)) + [0]
    return _pieces(bits, 8 if spec.zero_divisor == 3 else 12)


def _pieces(values: list[int], size: int) -> list[list[int]]:
    padded = values + [0] * (-len(values) % size)
    return [padded[at : at + size] for at in range(0, len(padded), size)]


def stream(slices: Sequence[SliceSpec], *, marker_every: int = 0) -> np.ndarray:
    """A whole stream: slices, an end marker after every `marker_every` (0 = only at the end)."""
    fields: Fields = []
    for number, spec in enumerate(slices, 1):
        fields += slice_fields(spec)
        if number == len(slices) or (marker_every and number % marker_every == 0):
            fields.append(END_MARKER)
            used = sum(width for _, width in fields)
            fields.append(((1 << (-used % 8)) - 1, -used % 8))
    return pack(fields)


def pack(fields: Fields) -> np.ndarray:
    """Bytes of a bit string, filled with ones to a multiple of 16."""
    bits = [int(value) >> at & 1 for value, width in fields for at in range(width)]
    bits += [1] * (-len(bits) % 128)
    return np.packbits(np.array(bits, np.uint8), bitorder="little")
