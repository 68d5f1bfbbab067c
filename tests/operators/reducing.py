"""Pools and reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.operators.network import Network, Quantisation, Value
from tests.operators.weighted import activation_code, output_size

__all__ = ["arg_max", "mean", "pool", "reduce_"]


def pool(
    network: Network,
    value: Value,
    kind: str,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] | None = None,
    padding: str = "VALID",
    activation: str | None = None,
) -> Value:
    """`kind` is `MAX` or `AVERAGE`; `kernel` and `stride` are `(y, x)`."""
    stride = stride or kernel
    options = schema.Pool2DOptionsT()
    options.padding = getattr(schema.Padding, padding)
    options.strideH, options.strideW = stride
    options.filterHeight, options.filterWidth = kernel
    options.fusedActivationFunction = activation_code(activation)
    n, height, width, depth = value.shape
    shape = (
        n,
        output_size(height, kernel[0], stride[0], 1, padding),
        output_size(width, kernel[1], stride[1], 1, padding),
        depth,
    )
    return network.apply(
        f"{kind}_POOL_2D", [value], shape, value.dtype, value.quantisation, options, 2
    )


def mean(
    network: Network,
    value: Value,
    axes: Sequence[int],
    *,
    keep_dims: bool = True,
    narrow: bool = True,
) -> Value:
    """MEAN; `narrow` scales the output to the smaller spread of a mean."""
    count = math.prod(value.shape[axis] for axis in axes)
    quantisation = value.quantisation
    if narrow and quantisation is not None:
        quantisation = Quantisation(quantisation.scale / math.sqrt(count), quantisation.zero_point)
    return _reduced(network, "MEAN", value, axes, quantisation, keep_dims=keep_dims)


def reduce_(
    network: Network, value: Value, builtin: str, axes: Sequence[int], *, keep_dims: bool = True
) -> Value:
    """SUM, REDUCE_MAX or REDUCE_MIN."""
    quantisation = value.quantisation
    if builtin == "SUM" and quantisation is not None:
        count = math.prod(value.shape[axis] for axis in axes)
        quantisation = Quantisation(quantisation.scale * math.sqrt(count), quantisation.zero_point)
    return _reduced(network, builtin, value, axes, quantisation, keep_dims=keep_dims)


def arg_max(network: Network, value: Value, axis: int) -> Value:
    """ARG_MAX to int32."""
    options = schema.ArgMaxOptionsT()
    options.outputType = schema.TensorType.INT32
    shape = [size for index, size in enumerate(value.shape) if index != axis]
    inputs = [value, network.constant(np.array(axis, np.int32))]
    return network.apply("ARG_MAX", inputs, shape, "int32", None, options, 2)


def _reduced(
    network: Network,
    builtin: str,
    value: Value,
    axes: Sequence[int],
    quantisation: Quantisation | None,
    *,
    keep_dims: bool,
) -> Value:
    options = schema.ReducerOptionsT()
    options.keepDims = keep_dims
    shape = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
    if not keep_dims:
        shape = [size for axis, size in enumerate(value.shape) if axis not in axes]
    inputs = [value, network.integers(*axes)]
    return network.apply(builtin, inputs, shape, value.dtype, quantisation, options, 2)
