"""The float weights of a model as plain arrays: stored, read back and described."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.core.errors import ModelError
from models.messages import KernelStats

__all__ = ["Weights", "kernel_stats", "pack", "read"]

#: `layer/weight` -> float32 array, in the order of the layers.
Weights = Mapping[str, npt.NDArray[np.float32]]


def pack(weights: Weights) -> bytes:
    """`weights` as the contents of an `.npz`; equal weights give equal bytes.

    numpy dates every member 1980-01-01, so the bytes do not depend on the time.
    """
    content = io.BytesIO()
    np.savez(content, **_as_savez_arguments(weights))
    return content.getvalue()


def read(file: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The weights that `pack` wrote.

    Raises:
        ModelError: `file` is missing or damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{file}: cannot read the parent variant's float weights: {error}",
            cure="build the parent variant again: clear its entry from the cache",
        ) from error


def kernel_stats(weights: Weights) -> dict[str, KernelStats]:
    """Layer -> sparsity and number of different values of its kernel."""
    found = {}
    for name, array in weights.items():
        layer, _, weight = name.rpartition("/")
        if weight in ("kernel", "depthwise_kernel"):
            found[layer] = KernelStats(
                shape=array.shape,
                sparsity=float(np.mean(array == 0)),
                unique_values=int(np.unique(array).size),
            )
    return found


def _as_savez_arguments(weights: Weights) -> dict[str, Any]:
    return dict(weights)
