"""CONV and DEPTHWISE.

Machine code computes them if there is some (decision 43), or else NumPy does:

Products and sums of integers are exact in floating point, in any order, while every partial sum
stays below 2^24 (float32) or 2^53 (float64). The actual weights of a layer decide which type is
enough. So a convolution is one matrix product by BLAS.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from targets.artefact.stream.operations import Conv, Depthwise
from targets.simulator.execution.feature_maps import FeatureMapPort
from targets.simulator.execution.memory import Memory, Site
from targets.simulator.execution.native_layer import NativeLayer, WindowSums
from targets.simulator.execution.output_stage import FLOAT32_EXACT, OutputStage
from targets.simulator.execution.preparation import Preparation
from targets.simulator.execution.windows import WindowedInput
from targets.simulator.native.kernels import Kernels

__all__ = ["convolution", "depthwise_convolution"]


#: About this many bytes of windows are copied at a time.
_COLUMNS_BYTES = 32 << 20


class _Layer:
    """The common part of both: weights, scales, input and output.

    The accumulators are sums over the stored bytes. The IFM's zero point adds the same amount in
    every window, which is part of the bias. Padding holds the zero point.
    """

    def __init__(
        self, operation: Conv | Depthwise, preparation: Preparation, site: Site, inputs: int
    ) -> None:
        ifm, ofm, kernel = operation.ifm, operation.ofm, operation.kernel
        layout = preparation.layout
        self.input = WindowedInput(operation, layout, site, fill=ifm.zero_point)
        self.output = FeatureMapPort(ofm, layout, site, writing=True)
        self.kernel = kernel
        shape = (ofm.depth, kernel.height, kernel.width, inputs)
        #: int64 `[O, H, W, I]`.
        self.weights = preparation.weights(operation, shape, site).astype(np.int64)
        scaling = preparation.channel_scaling(operation, site)
        offset = ifm.zero_point * self.weights.sum(axis=(1, 2, 3))
        limits = np.iinfo(self.input.dtype)
        greatest = max(-limits.min, limits.max)
        bounds = np.abs(self.weights).sum(axis=(1, 2, 3)) * greatest
        scaling = replace(scaling, bias=scaling.bias - offset)
        activator = preparation.activator(operation, site)
        self.stage = OutputStage(scaling, activator, bounds)
        self._sums = WindowSums(
            self.input,
            self.output,
            kernel,
            self.weights,
            isinstance(operation, Depthwise),
            scaling,
            activator,
            bounds,
        )
        #: A type in which the accumulators are exact.
        self.dtype = np.dtype(np.float32 if bounds.max() < FLOAT32_EXACT else np.float64)

    def native(self, kernels: Kernels | None) -> NativeLayer | None:
        """Machine code for all of it; None if NumPy must do it."""
        return NativeLayer.of(self._sums, kernels)


def convolution(operation: Conv, preparation: Preparation, site: Site) -> Convolution | NativeLayer:
    """A prepared CONV."""
    layer = _Layer(operation, preparation, site, operation.ifm.depth)
    return layer.native(preparation.kernels) or Convolution(operation, layer)


def depthwise_convolution(
    operation: Depthwise, preparation: Preparation, site: Site
) -> DepthwiseConvolution | NativeLayer:
    """A prepared DEPTHWISE."""
    layer = _Layer(operation, preparation, site, 1)
    return layer.native(preparation.kernels) or DepthwiseConvolution(operation, layer)


class Convolution:
    """A CONV by NumPy."""

    def __init__(self, operation: Conv, layer: _Layer) -> None:
        ofm = operation.ofm
        self._layer = layer
        #: `[H*W*I, O]`
        self._matrix = np.ascontiguousarray(
            self._layer.weights.reshape(ofm.depth, -1).T.astype(self._layer.dtype)
        )
        self._ofm = (ofm.height, ofm.width, ofm.depth)
        columns, channels = self._matrix.shape
        #: Bytes of copied windows and accumulators for one row of the OFM.
        self._line_bytes = ofm.width * (columns + 2 * channels) * self._layer.dtype.itemsize
        #: Bytes a row of the batch needs while this runs.
        self.workspace = ofm.height * self._line_bytes

    def run(self, memory: Memory) -> None:
        """Read, multiply, scale and store, for all rows of the batch."""
        layer = self._layer
        windows = layer.input.windows(layer.input.read(memory))
        rows = len(windows)
        height, width, channels = self._ofm
        result = np.empty((rows, *self._ofm), layer.output.dtype)
        step = max(1, _COLUMNS_BYTES // (rows * self._line_bytes))
        for top in range(0, height, step):
            part = windows[:, top : top + step]
            columns = np.empty(part.shape, layer.dtype)
            columns[...] = part
            accumulators = columns.reshape(-1, len(self._matrix)) @ self._matrix
            result[:, top : top + step] = layer.stage(accumulators).reshape(
                rows, -1, width, channels
            )
        layer.output.write(memory, result)


class DepthwiseConvolution:
    """A DEPTHWISE by NumPy."""

    def __init__(self, operation: Depthwise, layer: _Layer) -> None:
        ofm = operation.ofm
        self._layer = layer
        #: `[H, W, channels]`
        self._weights = np.ascontiguousarray(
            np.moveaxis(self._layer.weights[..., 0], 0, -1).astype(self._layer.dtype)
        )
        #: Bytes a row of the batch needs while this runs.
        self.workspace = 4 * ofm.height * ofm.width * ofm.depth * self._layer.dtype.itemsize

    def run(self, memory: Memory) -> None:
        """Read, multiply, scale and store, for all rows of the batch."""
        layer = self._layer
        windows = layer.input.windows(layer.input.read(memory).astype(layer.dtype))
        accumulators = windows[:, :, :, 0, 0] * self._weights[0, 0]
        product = np.empty_like(accumulators)
        for y, x in np.ndindex(layer.kernel.height, layer.kernel.width):
            if (y, x) != (0, 0):
                np.multiply(windows[:, :, :, y, x], self._weights[y, x], out=product)
                accumulators += product
        layer.output.write(memory, layer.stage(accumulators))
