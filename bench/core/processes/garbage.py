"""Python's search for cycles, where a process makes many objects and hardly any cycle.

It looks through what was made whenever there are 700 objects more. Records, verdicts and views have
no cycles, and there are millions of them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["few_collections", "no_collections"]

#: So many objects more, and it looks through these: a few ten MiB of what may be garbage.
_OBJECTS = 200_000


@contextmanager
def few_collections() -> Iterator[None]:
    """Search seldom while the block runs, and never again among what there was before it."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def no_collections() -> Iterator[None]:
    """Do not search while the block runs.

    Among the records of 10,000 cells, the search takes as long as reading them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
