"""The input of a convolution or pool: the IFM upscaled, padded and cut into windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from bench.core.arrays import Array
from targets.artefact.stream.operations import BlockOperation, Upscale
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.memory import Memory, MemoryMap, Site

__all__ = ["WindowedInput"]


class WindowedInput:
    """The IFM of `operation` as its kernel sees it.

    The padding holds `fill`. If the IFM is upscaled with zeros, its zero point is between the
    elements.
    """

    def __init__(self, operation: BlockOperation, layout: MemoryMap, site: Site, fill: int) -> None:
        self.port = FeatureMapPort(operation.ifm, layout, site, writing=False)
        self._operation = operation
        self.fill = fill
        kernel, ofm, padding = operation.kernel, operation.ofm, operation.padding
        self._size = kernel.covered(ofm.height, ofm.width)
        self._inside = (
            slice(padding.top, self._size[0] - padding.bottom),
            slice(padding.left, self._size[1] - padding.right),
        )
        limits = np.iinfo(self.dtype)
        if not limits.min <= fill <= limits.max:
            raise site.error(f"a zero point of {fill} does not fit {self.dtype}")
        self._padded = (padding.top, padding.left, padding.bottom, padding.right) != (0, 0, 0, 0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The IFM's element type."""
        return self.port.dtype

    @property
    def plain(self) -> bool:
        """Whether the IFM is not upscaled."""
        return self._operation.upscale is Upscale.NONE

    @property
    def complete(self) -> bool:
        """Whether the IFM has all that the windows reach, and fills what is not padding."""
        height, width, _ = self.port.shape
        if self._padded:
            inside = tuple(part.stop - part.start for part in self._inside)
            return inside == (height, width)
        return self._size[0] <= height and self._size[1] <= width

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, padding included."""
        return self._size if self._padded else self.port.shape[:2]

    @property
    def corner(self) -> tuple[int, int]:
        """Where the IFM begins in it."""
        padding = self._operation.padding
        return padding.top, padding.left

    def read(self, memory: Memory) -> Array:
        """`[rows or 1, height, width, depth]`, padding included; a view if there is none."""
        values = self.port.read(memory)
        if self._operation.upscale is not Upscale.NONE:
            height = self._inside[0].stop - self._inside[0].start
            width = self._inside[1].stop - self._inside[1].start
            values = self._upscaled(values)[:, :height, :width]
        if not self._padded:
            return values
        shape = (len(values), *self._size, values.shape[3])
        padded = np.full(shape, self.fill, self.dtype)
        padded[:, self._inside[0], self._inside[1]] = values
        return padded

    def windows(self, values: Array) -> Array:
        """`values` (from `read`) as `[rows, out height, out width, kernel h, kernel w, depth]`."""
        kernel, ofm = self._operation.kernel, self._operation.ofm
        row, y, x, c = values.strides
        return as_strided(
            values,
            (len(values), ofm.height, ofm.width, kernel.height, kernel.width, values.shape[3]),
            (
                row,
                y * kernel.stride_y,
                x * kernel.stride_x,
                y * kernel.dilation_y,
                x * kernel.dilation_x,
                c,
            ),
            writeable=False,
        )

    def valid_counts(self) -> NDArray[np.int64]:
        """How many elements of each window are not padding: `[out height, out width, 1]`."""
        mask = np.zeros((1, *self._size, 1), np.int64)
        mask[:, self._inside[0], self._inside[1]] = 1
        return np.asarray(self.windows(mask).sum(axis=(3, 4))[0])

    def _upscaled(self, values: Array) -> Array:
        if self._operation.upscale is Upscale.NEAREST:
            return values.repeat(2, axis=1).repeat(2, axis=2)
        rows, height, width, depth = values.shape
        spread = np.full(
            (rows, 2 * height, 2 * width, depth), self._operation.ifm.zero_point, values.dtype
        )
        spread[:, ::2, ::2] = values
        return spread
