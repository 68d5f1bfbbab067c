"""DMA_START: copies between regions, and copies of look-up tables into SHRAM.

A transfer copies rows of `length` bytes, `size0` rows per plane and `size1` planes. At a strided
end, rows and planes start `skip0` and `skip1` bytes apart; at the other end they are adjacent.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from targets.artefact.stream.operations import Dma
from targets.simulator.execution.memory import Bytes, Memory, MemoryMap, Site
from targets.simulator.execution.preparation import Preparation

__all__ = ["DmaTransfer", "load_tables", "transfer_extent"]

#: Bytes that one transfer may move: more than any memory of a device holds.
_MAX_BYTES = 1 << 28


class DmaTransfer:
    """A prepared transfer between regions."""

    def __init__(self, operation: Dma, preparation: Preparation, site: Site) -> None:
        assert operation.destination_region is not None
        self._operation = operation
        self._region = operation.destination_region
        layout = preparation.layout
        _check(operation, layout, site)
        first, end = transfer_extent(
            operation, operation.destination, operation.destination_strided
        )
        layout.check(self._region, first, end, site, writing=True)
        constants = preparation.constants
        if operation.source_strided or operation.destination_strided:
            constants.forget(self._region, first, end, site)
        else:
            constants.copy(
                operation.source_region, operation.source, end - first, self._region, first, site
            )
        #: Bytes a row of the batch needs while this runs.
        self.workspace = end - first

    def run(self, memory: Memory) -> None:
        """Copy, for all rows of the batch."""
        operation = self._operation
        source = _view(
            memory[operation.source_region], operation, operation.source, operation.source_strided
        )
        target = _view(
            memory[self._region], operation, operation.destination, operation.destination_strided
        )
        # NumPy copies through a buffer if the two overlap.
        np.copyto(target, source)


def load_tables(operation: Dma, preparation: Preparation, site: Site) -> None:
    """A transfer into SHRAM. Its content is constant, so it is done only once."""
    _check(operation, preparation.layout, site)
    if operation.source_strided:
        raise site.error("a strided transfer into SHRAM is not supported")
    length = operation.length * operation.size0 * operation.size1
    content = preparation.constants.read(
        operation.source_region, operation.source, length, "look-up tables", site
    )
    preparation.constants.load_tables(operation.destination, content)


def _check(operation: Dma, layout: MemoryMap, site: Site) -> None:
    if operation.length * operation.size0 * operation.size1 > _MAX_BYTES:
        raise site.error(f"a transfer of more than {_MAX_BYTES} bytes")
    first, end = transfer_extent(operation, operation.source, operation.source_strided)
    layout.check(operation.source_region, first, end, site, writing=False)


def _steps(operation: Dma, strided: bool) -> tuple[int, int]:
    """Bytes from plane to plane and from row to row."""
    if strided:
        return operation.skip1, operation.skip0
    return operation.length * operation.size0, operation.length


def transfer_extent(operation: Dma, address: int, strided: bool) -> tuple[int, int]:
    """The first byte and the end of one end of a transfer, within its region; unchecked."""
    plane, row = _steps(operation, strided)
    reach = ((operation.size1 - 1) * plane, (operation.size0 - 1) * row)
    first = address + sum(min(step, 0) for step in reach)
    return first, address + sum(max(step, 0) for step in reach) + operation.length


def _view(region: Bytes, operation: Dma, address: int, strided: bool) -> Bytes:
    plane, row = _steps(operation, strided)
    return as_strided(
        region[:, address : address + operation.length],
        (len(region), operation.size1, operation.size0, operation.length),
        (region.strides[0], plane, row, 1),
    )
