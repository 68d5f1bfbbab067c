"""Arrays: the alias for their type, their digest, and sequences of them in `.npz` files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "digest_arrays", "load_arrays", "save_arrays"]

#: An array whose shape and dtype the context states.
Array: TypeAlias = npt.NDArray[Any]


def save_arrays(path: Path, arrays: Sequence[Array]) -> None:
    """Write `arrays` in order. NumPy dates the members 1980, so equal arrays give equal bytes."""
    np.savez(path, **{f"array_{i}": array for i, array in enumerate(arrays)})  # type: ignore[arg-type]


def load_arrays(path: Path) -> tuple[Array, ...]:
    """The inverse of `save_arrays`."""
    with np.load(path, allow_pickle=False) as archive:
        return tuple(archive[f"array_{i}"] for i in range(len(archive.files)))


def digest_arrays(arrays: Sequence[Array]) -> str:
    """sha256 over dtypes, shapes and contents of `arrays`, in order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
