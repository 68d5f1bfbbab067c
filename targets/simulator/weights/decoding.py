"""Weights and scales of a layer, from the bytes in flash to arrays."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from targets.artefact.errors import StreamError, WeightStreamError
from targets.ethos_u55.weights import SCALE_BYTES
from targets.simulator.native.kernels import Kernels
from targets.simulator.weights.mlw import MAX_WEIGHTS_PER_BYTE, decode_stream
from targets.simulator.weights.traversal import (
    Shape,
    Traversal,
    stream_indices,
    stream_length,
    traversal_problem,
)

__all__ = ["decode_scales", "decode_weights"]

#: Indices of weights are int32.
_INDEX_LIMIT = 2**31 - 1

_Bytes = bytes | bytearray | memoryview | NDArray[np.uint8]


def decode_weights(
    stream: _Bytes,
    shape: Shape,
    traversal: Traversal,
    *,
    word: int,
    operation: str,
    kernels: Kernels | None = None,
) -> NDArray[np.int16]:
    """Decode one weight stream and put its weights in order.

    Args:
        stream: the bytes at WEIGHT_BASE, WEIGHT_LENGTH of them.
        shape: `(O, H, W, I)` with undilated kernel sizes; `I` is 1 for a depthwise layer.
        traversal: the order of the stream, see `traversal_of`.
        word: index of the operation's word in the command stream, for the error text.
        operation: its name, for the error text.
        kernels: who makes machine code; None for Python and NumPy.

    Returns:
        int16 `[O, H, W, I]`, each -255..255; the caller owns it.

    Raises:
        StreamError: the traversal is impossible, or the stream is malformed, holds more or fewer
            weights than shape and order need, or has padding that is not zero.
    """
    data = np.frombuffer(stream, np.uint8)

    def error(what: str) -> WeightStreamError:
        return WeightStreamError(
            f"weight stream of {data.size} bytes for weights {shape} (OHWI): {what}",
            word=word,
            operation=operation,
            cure="the model file is damaged, or it was compiled for another accelerator",
        )

    problem = traversal_problem(shape, traversal)
    if problem is not None:
        raise error(problem)
    expected = stream_length(shape, traversal)
    # Check before anything is allocated: registers may ask for shapes of any size.
    if expected > min(MAX_WEIGHTS_PER_BYTE * data.size, _INDEX_LIMIT):
        raise error(f"it cannot hold {expected} weights")
    decoded = decode_stream(data, limit=expected, word=word, operation=operation, kernels=kernels)
    if decoded.size != expected:
        raise error(f"it holds {decoded.size} weights instead of {expected}")
    indices = _indices(shape, traversal)
    # One element more than the weights: index -1, the padding, ends up there.
    result = np.zeros(math.prod(shape) + 1, np.int16)
    if np.any(decoded[indices < 0]):
        raise error("its padding is not zero")
    result[indices] = decoded
    return result[:-1].reshape(shape)


def decode_scales(
    table: _Bytes, channels: int, *, word: int, operation: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Decode a table of biases and scales.

    Args:
        table: the bytes at SCALE_BASE, SCALE_LENGTH of them; padding may follow the entries.
        channels: output channels `O`.
        word: index of the operation's word in the command stream, for the error text.
        operation: its name, for the error text.

    Returns:
        `(bias, multiplier, shift)`, each int64 `[O]`: -2^39..2^39-1, 0..2^32-1 and 0..63.

    Raises:
        StreamError: the table is shorter than `channels` entries.
    """
    data = np.frombuffer(table, np.uint8)
    size = SCALE_BYTES * channels
    if data.size < size:
        raise StreamError(
            f"a table of {data.size} bytes cannot hold the scales of {channels} channels, "
            f"{SCALE_BYTES} bytes each",
            word=word,
            operation=operation,
        )
    entries = data[:size].reshape(channels, SCALE_BYTES).astype(np.int64)
    bias = _little_endian(entries[:, :5])
    # Sign extension from 40 bits.
    return (bias << 24) >> 24, _little_endian(entries[:, 5:9]), entries[:, 9] & 0x3F


@lru_cache(maxsize=32)
def _indices(shape: Shape, traversal: Traversal) -> NDArray[np.int32]:
    """`stream_indices`, cached because layers of a network often share a shape. Read-only."""
    indices = stream_indices(shape, traversal)
    indices.flags.writeable = False
    return indices


def _little_endian(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    shifts = 8 * np.arange(columns.shape[1], dtype=np.int64)
    result: NDArray[np.int64] = np.left_shift(columns, shifts).sum(axis=1)
    return result
