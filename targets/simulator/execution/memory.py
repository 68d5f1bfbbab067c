"""The memory that the NPU sees through its regions, for all rows of a batch at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from targets.artefact.errors import StreamError

__all__ = ["Bytes", "Memory", "MemoryMap", "RegionInfo", "Site"]

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Site:
    """The operation at which something went wrong, for error messages."""

    word: int
    operation: str

    def error(self, what: str, cure: str = "") -> StreamError:
        """A `StreamError` that names this operation."""
        return StreamError(what, word=self.word, operation=self.operation, cure=cure)


@dataclass(frozen=True)
class RegionInfo:
    """A region before there is a batch; addresses are checked against it."""

    #: Bytes.
    size: int
    #: The contents of a read-only region, uint8 `[size]`; None = the region is writable.
    constant: Bytes | None
    #: Regions with the same number share a memory (regions 1 and 2 share the arena), each from its
    #: own byte `offset` on.
    storage: int
    offset: int = 0


@dataclass(frozen=True)
class MemoryMap:
    """All regions that an `ethos-u` operator may address."""

    regions: Mapping[int, RegionInfo]

    def region(self, index: int, site: Site) -> RegionInfo:
        """Region `index`. Raises `StreamError` if there is no such region."""
        found = self.regions.get(index)
        if found is None:
            known = ", ".join(map(str, sorted(self.regions)))
            raise site.error(
                f"region {index} is used, but the model has only the regions {known}",
                cure="the command stream does not belong to this model file; compile again",
            )
        return found

    def check(self, index: int, first: int, end: int, site: Site, *, writing: bool) -> RegionInfo:
        """Check that bytes `first` up to `end` (exclusive) of a region may be accessed.

        Raises `StreamError` if they are outside, or would be written in a read-only region.
        """
        info = self.region(index, site)
        if first < 0 or end > info.size:
            raise site.error(
                f"bytes {first}..{end - 1} of region {index} are accessed, "
                f"which has {info.size} bytes",
                cure="the model file is damaged; compile it again",
            )
        if writing and info.constant is not None:
            raise site.error(
                f"bytes {first}..{end - 1} of region {index} are written, which is read-only",
                cure="the model file is damaged; compile it again",
            )
        return info


class Memory:
    """The contents of all regions, for `rows` independent rows.

    A writable region is uint8 `[rows, size]`, a read-only one `[1, size]`: one copy serves all.
    """

    def __init__(self, layout: MemoryMap, storages: Mapping[int, Bytes], rows: int) -> None:
        self.rows = rows
        self._regions: dict[int, Bytes] = {}
        for index, info in layout.regions.items():
            if info.constant is not None:
                self._regions[index] = info.constant[np.newaxis]
            else:
                storage = storages[info.storage]
                self._regions[index] = storage[:, info.offset : info.offset + info.size]

    def __getitem__(self, region: int) -> Bytes:
        """The bytes of `region`, `[rows or 1, size]`, not a copy."""
        return self._regions[region]
