"""Sequences of arrays in `.npz` files whose bytes depend on the arrays alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from targets.protocol import Array

__all__ = ["load_arrays", "save_arrays"]


def save_arrays(path: Path, arrays: Sequence[Array]) -> None:
    """Write `arrays` in order. NumPy dates the members 1980, so equal arrays give equal bytes."""
    np.savez(path, **{f"array_{i}": array for i, array in enumerate(arrays)})  # type: ignore[arg-type]


def load_arrays(path: Path) -> tuple[Array, ...]:
    """The inverse of `save_arrays`."""
    with np.load(path, allow_pickle=False) as archive:
        return tuple(archive[f"array_{i}"] for i in range(len(archive.files)))
