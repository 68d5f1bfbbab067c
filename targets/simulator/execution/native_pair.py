"""An operation on two feature maps of bytes as a table for the kernel of `native.pairs`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.core.arrays import Array
from targets.ethos_u55.tensors import BRICK_CHANNELS
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.memory import Memory, MemoryMap
from targets.simulator.native.kernels import AXES, Function, Kernels, PairField, PairLookup

__all__ = ["NativePair"]

#: Below this many elements, the table costs more than it saves.
_LEAST = 1024


class NativePair:
    """A binary elementwise operation that the kernel can compute."""

    def __init__(
        self,
        ports: tuple[FeatureMapPort, FeatureMapPort, FeatureMapPort],
        function: Callable[[Array, Array], Array],
        look_up: Function,
    ) -> None:
        """`ports` are both operands and the OFM; `function` is elementwise."""
        self._ports = ports
        #: Bytes a row of the batch needs while this runs.
        self.workspace = 0
        self._run = look_up
        first, second = (
            np.arange(256, dtype=np.uint8).view(port.dtype).reshape(shape)
            for port, shape in zip(ports, ((256, 1), (1, 256)), strict=False)
        )
        table = function(first[..., np.newaxis], second[..., np.newaxis])
        self._table = np.ascontiguousarray(table, ports[2].dtype).view(np.uint8)
        shape = ports[2].shape
        full, rest = divmod(shape[2], BRICK_CHANNELS)
        bricked = any(len(port.pieces[0].strides) == 4 for port in ports)
        #: Parts of the OFM: of each array the first byte, sizes without the rows, and strides.
        self._parts: list[tuple[list[int], list[int], list[tuple[int, ...]]]] = []
        cuts = [(0, full, BRICK_CHANNELS), (full, 1, rest)] if bricked else [(0, 1, shape[2])]
        for brick, bricks, channels in cuts:
            if bricks and channels:
                sizes = [shape[0], bricks, shape[1], channels]
                starts = [_place(port, brick) for port in ports]
                strides = [_strides(port) for port in ports]
                self._parts.append((starts, *_joined(sizes, strides)))

    @staticmethod
    def of(
        ports: tuple[FeatureMapPort, FeatureMapPort, FeatureMapPort],
        function: Callable[[Array, Array], Array],
        layout: MemoryMap,
        kernels: Kernels | None,
    ) -> NativePair | None:
        """The operation; None without kernels, or if they cannot compute it."""
        target = ports[2]
        if kernels is None or np.prod(target.shape) < _LEAST:
            return None
        for port in ports:
            if port.dtype.itemsize > 1 or not port.linear or port.shape != target.shape:
                return None
        # The kernel writes while it reads.
        for port in ports[:2]:
            same = port.region == target.region and port.pieces == target.pieces
            if not same and _meet(port, target, layout):
                return None
        look_up = kernels.function(PairLookup())
        return None if look_up is None else NativePair(ports, function, look_up)

    def run(self, memory: Memory) -> None:
        """Look up all elements of all rows."""
        regions = [memory[port.region] for port in self._ports]
        rows = len(regions[2])
        for starts, sizes, strides in self._parts:
            record = np.zeros(PairField.TARGET_STRIDES + AXES, np.int64)
            record[PairField.TABLE] = self._table.ctypes.data
            record[PairField.SIZES : PairField.FIRST_STRIDES] = [rows, *sizes]
            for i, region in enumerate(regions):
                row = region.strides[0] if len(region) == rows else 0
                record[PairField.FIRST + i] = region.ctypes.data + starts[i]
                at = PairField.FIRST_STRIDES + i * AXES
                record[at : at + AXES] = [row, *strides[i]]
            self._run(record.ctypes.data)


def _meet(a: FeatureMapPort, b: FeatureMapPort, layout: MemoryMap) -> bool:
    """Whether two feature maps have bytes in common."""
    one, other = layout.regions[a.region], layout.regions[b.region]
    if one.constant is not None or other.constant is not None or one.storage != other.storage:
        return False
    (first, end), (begin, last) = (
        (
            region.offset + min(extent[0] for extent in port.extents[1]),
            region.offset + max(extent[1] for extent in port.extents[1]),
        )
        for port, region in ((a, one), (b, other))
    )
    return first < last and begin < end


def _place(port: FeatureMapPort, brick: int) -> int:
    """The byte at which brick `brick` begins."""
    return port.pieces[0].base + brick * _brick_step(port)


def _strides(port: FeatureMapPort) -> tuple[int, ...]:
    """From line to line, brick to brick, column to column and channel to channel."""
    line, column = port.pieces[0].strides[:2]
    return line, _brick_step(port), column, 1


def _brick_step(port: FeatureMapPort) -> int:
    strides = port.pieces[0].strides
    return strides[2] if len(strides) == 4 else BRICK_CHANNELS


def _joined(
    sizes: list[int], strides: list[tuple[int, ...]]
) -> tuple[list[int], list[tuple[int, ...]]]:
    """The same elements, with axes joined that have no gap between them in any array."""
    kept, steps = [sizes[-1]], [[each[-1]] for each in strides]
    for axis in range(len(sizes) - 2, -1, -1):
        if all(each[axis] == own[0] * kept[0] for each, own in zip(strides, steps, strict=True)):
            kept[0] *= sizes[axis]
        else:
            kept.insert(0, sizes[axis])
            for each, own in zip(strides, steps, strict=True):
                own.insert(0, each[axis])
    missing = len(sizes) - len(kept)
    return [1] * missing + kept, [(*[0] * missing, *own) for own in steps]
