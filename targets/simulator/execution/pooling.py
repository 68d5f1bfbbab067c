"""POOL: maximum, average and sum over channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.arrays import Array
from targets.artefact.stream.operations import Padding, Pool, PoolMode, Upscale
from targets.simulator.execution.byte_table import ByteTable
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.memory import Memory, Site
from targets.simulator.execution.native_layer import NativeLayer, WindowSums
from targets.simulator.execution.output_stage import OutputStage
from targets.simulator.execution.preparation import Preparation
from targets.simulator.execution.windows import WindowedInput
from targets.simulator.native.kernels import Kernels

__all__ = ["pooling"]

#: Up to this size, one pass per element of the kernel is faster than a reduction.
_FEW_ELEMENTS = 64
#: Up to this size, a window of all channels is a table of weights.
_MAX_WEIGHTS = 1 << 20


def pooling(operation: Pool, preparation: Preparation, site: Site) -> Pooling | NativeLayer:
    """A prepared POOL."""
    step = Pooling(operation, preparation, site)
    return step.native(preparation.kernels) or step


class Pooling:
    """A POOL by NumPy."""

    def __init__(self, operation: Pool, preparation: Preparation, site: Site) -> None:
        ifm, ofm, kernel = operation.ifm, operation.ofm, operation.kernel
        self._operation = operation
        area = kernel.height * kernel.width
        least = int(np.iinfo(np.dtype(ifm.dtype.value)).min)
        is_max = operation.mode is PoolMode.MAX
        self._input = WindowedInput(
            operation, preparation.layout, site, fill=least if is_max else ifm.zero_point
        )
        self._output = FeatureMapPort(ofm, preparation.layout, site, writing=True)
        self._activator = preparation.activator(operation, site)
        #: Elements that are added up for one output.
        terms = 1 if is_max else area
        if operation.mode is PoolMode.REDUCE_SUM:
            terms *= ifm.depth
        bound = terms << (8 * ifm.dtype.bytes)
        self._sum_dtype = np.dtype(np.int32 if bound < 1 << 31 else np.int64)
        self._scaling = preparation.scaling(operation, bias=-terms * ifm.zero_point)
        self._stage = OutputStage(self._scaling, self._activator, bound)
        self._bound = bound
        self._table = self._tabulate()
        #: Bytes a row of the batch needs while this runs.
        self.workspace = 16 * ofm.height * ofm.width * ifm.depth

    def native(self, kernels: Kernels | None) -> NativeLayer | None:
        """Machine code for a sum that is too large for a table; None if NumPy must do it."""
        operation, kernel = self._operation, self._operation.kernel
        shape = (operation.ofm.depth, kernel.height, kernel.width, 1)
        sums = operation.mode is PoolMode.AVERAGE and not operation.divides_by_valid
        if not sums or self._table is not None or math.prod(shape) > _MAX_WEIGHTS:
            return None
        return NativeLayer.of(
            WindowSums(
                self._input,
                self._output,
                kernel,
                np.ones(shape, np.int64),
                True,
                self._scaling,
                self._activator,
                self._bound,
            ),
            kernels,
        )

    def run(self, memory: Memory) -> None:
        """Read, pool, scale and store, for all rows of the batch."""
        values = self._input.read(memory)
        if self._table is not None:
            result = self._table(values)
        elif self._operation.divides_by_valid:
            result = self._divide(self._pool(values, np.dtype(np.int64)))
        elif self._operation.mode is PoolMode.MAX:
            result = self._stage(self._pool(values, values.dtype))
        else:
            result = self._stage(self._pool(values, self._sum_dtype))
        self._output.write(memory, result)

    def _tabulate(self) -> ByteTable | None:
        """Pool with a kernel of 1 x 1, which Vela uses to copy, to rescale and for look-ups."""
        operation, kernel = self._operation, self._operation.kernel
        window = (kernel.height, kernel.width, kernel.stride_y, kernel.stride_x)
        if (
            operation.mode is PoolMode.REDUCE_SUM
            or operation.ifm.dtype.bytes != 1
            or window != (1, 1, 1, 1)
            or operation.padding != Padding(0, 0, 0, 0)
            or operation.upscale is not Upscale.NONE
        ):
            return None
        return ByteTable(lambda values: self._stage(values[:, np.newaxis])[:, 0], self._input.dtype)

    def _pool(self, values: Array, dtype: np.dtype[Any]) -> Array:
        """Maxima or sums over the windows, `[rows, height, width, depth]` in `dtype`."""
        reduce = np.maximum if self._operation.mode is PoolMode.MAX else np.add
        windows = self._input.windows(values)
        height, width = windows.shape[3:5]
        if height * width > _FEW_ELEMENTS:
            result: Array = reduce.reduce(windows, axis=(3, 4), dtype=dtype)
        else:
            result = windows[:, :, :, 0, 0].astype(dtype)
            for y, x in np.ndindex(height, width):
                if (y, x) != (0, 0):
                    reduce(result, windows[:, :, :, y, x], out=result)
        if self._operation.mode is PoolMode.REDUCE_SUM:
            result = result.sum(axis=3, keepdims=True)
        return result

    def _divide(self, sums: NDArray[np.int64]) -> Array:
        """Averages over the elements that are not padding, halves away from zero.

        The padding holds the zero point, so it contributes nothing after the subtraction.
        """
        operation = self._operation
        kernel = operation.kernel
        sums = sums - kernel.height * kernel.width * operation.ifm.zero_point
        # A window may be entirely in the padding. What hardware gives is unknown; we give 0.
        counts = np.maximum(self._input.valid_counts(), 1)
        magnitude = (np.abs(sums) + counts // 2) // counts
        averages = np.where(sums < 0, -magnitude, magnitude)
        return self._activator(averages + operation.ofm_zero_point).astype(self._output.dtype)
