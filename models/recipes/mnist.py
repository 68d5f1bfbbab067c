"""The data of the MNIST recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.data import FULL, SUBSET, DataSource, load, to_float

__all__ = ["data"]

#: By name.
_SOURCES: Mapping[str, DataSource] = {source.name: source for source in (FULL, SUBSET)}


def data(mnist: str = SUBSET.name) -> Mapping[str, Any]:
    """MNIST's images, float32 `[n, 28, 28]` in 0..1, and labels, int64 `[n]` in 0..9.

    `mnist` is the name of a `DataSource`; the configuration's `[data]` decides which.
    """
    found = load(_SOURCES[mnist])
    return {
        "train": (to_float(found.x_train), found.y_train),
        "test": (to_float(found.x_test), found.y_test),
    }
