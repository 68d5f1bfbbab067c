"""Mutations of bytes whose meaning is not looked at: whole files, weights, scales, tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["mutate_bytes"]

Random = np.random.Generator

_EXTREMES = (0, 1, -1, 4, 127, 128, 255, 65535, 1 << 20, (1 << 31) - 1, -(1 << 31), -(1 << 20))


def mutate_bytes(content: bytes, random: Random, *, resize: bool) -> tuple[str, bytes]:
    """One to eight mutations; the length stays unless `resize`."""
    if not content:
        return "nothing", content
    mutations = (*_SAME_SIZE, *_RESIZING) if resize else _SAME_SIZE
    data = bytearray(content)
    done = []
    for _ in range(int(min(random.geometric(0.4), 8))):
        mutation = mutations[int(random.integers(len(mutations)))]
        data = mutation(data, random) or bytearray(1)
        done.append(mutation.__name__.lstrip("_"))
    return "+".join(done), bytes(data)


def _at(data: bytearray, random: Random) -> int:
    return int(random.integers(len(data)))


def _flip(data: bytearray, random: Random) -> bytearray:
    data[_at(data, random)] ^= 1 << int(random.integers(8))
    return data


def _byte(data: bytearray, random: Random) -> bytearray:
    data[_at(data, random)] = int(
        random.choice([0, 1, 0x7F, 0x80, 0xFF, int(random.integers(256))])
    )
    return data


def _integer(data: bytearray, random: Random) -> bytearray:
    """A 32-bit field, aligned as flatbuffers align them."""
    at = _at(data, random) & ~3
    value = int(_EXTREMES[int(random.integers(len(_EXTREMES)))])
    data[at : at + 4] = value.to_bytes(4, "little", signed=True)[: len(data) - at]
    return data


def _nudge(data: bytearray, random: Random) -> bytearray:
    """A 32-bit field, a little more or less: an offset that now points beside its target."""
    at = _at(data, random) & ~3
    field = data[at : at + 4]
    value = int.from_bytes(field, "little") + int(random.integers(-64, 65))
    data[at : at + 4] = (value % (1 << 8 * len(field))).to_bytes(len(field), "little")
    return data


def _fill(data: bytearray, random: Random) -> bytearray:
    at = _at(data, random)
    size = min(int(random.integers(1, 64)), len(data) - at)
    data[at : at + size] = bytes([int(random.choice([0, 0xFF, int(random.integers(256))]))]) * size
    return data


def _noise(data: bytearray, random: Random) -> bytearray:
    at = _at(data, random)
    size = min(int(random.integers(1, 64)), len(data) - at)
    data[at : at + size] = random.bytes(size)
    return data


def _splice(data: bytearray, random: Random) -> bytearray:
    """One part over another."""
    source, target = _at(data, random), _at(data, random)
    size = min(int(random.integers(1, 128)), len(data) - max(source, target))
    data[target : target + size] = data[source : source + size]
    return data


def _truncate(data: bytearray, random: Random) -> bytearray:
    return data[: _at(data, random)]


def _remove(data: bytearray, random: Random) -> bytearray:
    at = _at(data, random)
    return data[:at] + data[at + int(random.integers(1, 64)) :]


def _grow(data: bytearray, random: Random) -> bytearray:
    at = _at(data, random)
    part = data[at : at + int(random.integers(1, 128))]
    return data[:at] + part * int(random.choice([1, 1, 2, 20])) + data[at:]


_Mutation = Callable[[bytearray, Random], bytearray]
_SAME_SIZE: tuple[_Mutation, ...] = (_flip, _flip, _byte, _integer, _nudge, _fill, _noise, _splice)
_RESIZING: tuple[_Mutation, ...] = (_truncate, _remove, _grow)
