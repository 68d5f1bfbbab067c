"""Random inputs for a model without data, always the same."""

from __future__ import annotations

import math

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.core.processes import memory_words
from bench.tflite.model_file import QUANTISED_DTYPES, ModelFile

__all__ = ["random_inputs"]

#: The most bytes that all inputs may take together: 20 colour images of 2000 x 2000 pixels fit.
_BYTES_MAX = 256 << 20


def random_inputs(model: ModelFile, n: int, seed: int) -> tuple[Array, ...]:
    """`n` inputs for `model`, uniform over the whole range of each input's dtype.

    There is one array `[n, ...]` for each model input. The values come from the raw PCG64 stream,
    which NumPy promises to keep (unlike `Generator.integers`), so the same `seed` always gives the
    same inputs. Raises `ModelError` for an input that is not int8, uint8 or int16, and for inputs
    that are too large to be intended.
    """
    stream = np.random.PCG64(seed)
    arrays = []
    taken = 0
    for tensor in model.inputs:
        if tensor.dtype not in QUANTISED_DTYPES:
            raise ModelError(
                f"input {tensor.name!r} has dtype {tensor.dtype}; random inputs are defined "
                f"for {', '.join(QUANTISED_DTYPES)}",
                cure="quantise the model to int8",
            )
        dtype = np.dtype(tensor.dtype).newbyteorder("<")
        shape = (n, *tensor.shape[1:])
        count = math.prod(shape)
        taken += count * dtype.itemsize
        if taken > _BYTES_MAX:
            raise ModelError(
                f"{n} random inputs of {tensor.dtype} {list(tensor.shape)} (input "
                f"{tensor.name!r}) would take more than {memory_words(_BYTES_MAX)} of memory",
                cure="if the model's input is meant to be so large, lower random_inputs",
            )
        words = stream.random_raw(-(-count * dtype.itemsize // 8)).astype("<u8")
        values = words.view(dtype)[:count].reshape(shape)
        arrays.append(values.astype(tensor.dtype))
    return tuple(arrays)
