"""The bytes that are known before any input: read-only data, and what DMA copies of it.

Weights, scales and look-up tables are decoded once, before the first inference. The stream may copy
them to SRAM first, so the copies are followed through the stream, in its order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from targets.ethos_u55.shram import LUT_BYTES
from targets.simulator.execution.memory import Bytes, MemoryMap, Site

__all__ = ["Constants"]


class Constants:
    """Known bytes of all regions and of SHRAM's table area, at one point of the stream."""

    def __init__(self, layout: MemoryMap) -> None:
        self._layout = layout
        self._values: dict[int, Bytes] = {}
        self._known: dict[int, NDArray[np.bool_]] = {}
        sizes: dict[int, int] = {}
        for info in layout.regions.values():
            if info.constant is None:
                end = info.offset + info.size
                sizes[info.storage] = max(sizes.get(info.storage, 0), end)
        for storage, size in sizes.items():
            self._values[storage] = np.zeros(size, np.uint8)
            self._known[storage] = np.zeros(size, np.bool_)
        self._tables: Bytes = np.zeros(LUT_BYTES, np.uint8)

    @property
    def tables(self) -> Bytes:
        """A copy of the look-up tables, uint8 `[LUT_BYTES]`."""
        return np.array(self._tables)

    def read(self, region: int, first: int, length: int, what: str, site: Site) -> Bytes:
        """Bytes that must be known. Raises `StreamError`, which names `what`, if they are not."""
        content = self._peek(region, first, length, site)
        if content is None:
            raise site.error(
                f"{what} at bytes {first}..{first + length - 1} of region {region} are not "
                "constant: they depend on the network's input",
                cure="the model file is damaged; compile it again",
            )
        return content

    def load_tables(self, first: int, content: Bytes) -> None:
        """A DMA into the table area."""
        self._tables[first : first + len(content)] = content

    def copy(
        self, region: int, first: int, length: int, to_region: int, to_first: int, site: Site
    ) -> None:
        """A DMA of `length` bytes between regions."""
        content = self._peek(region, first, length, site)
        if content is None:
            self.forget(to_region, to_first, to_first + length, site)
            return
        info = self._layout.check(to_region, to_first, to_first + length, site, writing=True)
        place = slice(info.offset + to_first, info.offset + to_first + length)
        self._values[info.storage][place] = content
        self._known[info.storage][place] = True

    def forget(self, region: int, first: int, end: int, site: Site) -> None:
        """Something unknown is written to the bytes from `first` up to `end`."""
        info = self._layout.check(region, first, end, site, writing=True)
        self._known[info.storage][info.offset + first : info.offset + end] = False

    def _peek(self, region: int, first: int, length: int, site: Site) -> Bytes | None:
        info = self._layout.check(region, first, first + length, site, writing=False)
        if info.constant is not None:
            return info.constant[first : first + length]
        place = slice(info.offset + first, info.offset + first + length)
        if not self._known[info.storage][place].all():
            return None
        return np.array(self._values[info.storage][place])
