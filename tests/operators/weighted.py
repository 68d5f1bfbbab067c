"""Operators with weights: convolutions, their transposition, fully connected layers.

The bias scale is input scale times weight scale and its type int32 beside int8 activations and
int64 beside int16, as TFLite's quantisation specification demands.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from bench.core.arrays import Array
from tests.operators.network import RANGES, Network, Quantisation, Value

__all__ = [
    "WEIGHTS_RMS",
    "conv2d",
    "depthwise",
    "fully_connected",
    "output_quantisation",
    "output_size",
    "transpose_conv",
]

#: Root mean square of the weights, in quanta.
WEIGHTS_RMS = 40

_PADDINGS = {"SAME": schema.Padding.SAME, "VALID": schema.Padding.VALID}


def activation_code(name: str | None) -> int:
    """The schema's number of a fused activation, such as `RELU6`."""
    return int(getattr(schema.ActivationFunctionType, name or "NONE"))


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """TFLite's output size along one dimension."""
    if padding == "SAME":
        return -(-size // stride)
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def output_quantisation(
    dtype: str, scale: float, activation: str | None, *, offset: int = 5
) -> Quantisation:
    """A zero point as a converter would choose it: at the bottom after a ReLU, 0 for int16."""
    if dtype == "int16":
        return Quantisation(scale)
    low = RANGES[dtype][0]
    return Quantisation(scale, low if activation in ("RELU", "RELU6") else low + 128 + offset)


def weights(
    network: Network,
    shape: tuple[int, ...],
    axis: int,
    *,
    per_channel: bool,
    mean_scale: float = 0.008,
) -> tuple[Array, Value, tuple[float, ...]]:
    """Gaussian int8 weights with their scale per channel (repeated where per tensor)."""
    channels = shape[axis]
    values = np.clip(np.round(network.random.normal(0, WEIGHTS_RMS, shape)), -127, 127).astype(
        np.int8
    )
    if per_channel:
        scales = tuple(
            float(s) for s in network.random.uniform(0.5 * mean_scale, 1.5 * mean_scale, channels)
        )
        return values, network.constant(values, scales, 0, axis), scales
    return values, network.constant(values, mean_scale), (mean_scale,) * channels


def bias(
    network: Network, value: Value, scales: tuple[float, ...], rms: float, *, per_channel: bool
) -> Value:
    """Biases of about a third of the accumulators' size; `rms` is theirs, in real values."""
    products = np.array([value.scale * scale for scale in scales])
    real = network.random.normal(0, rms / 3, len(scales))
    dtype = np.int64 if value.dtype == "int16" else np.int32
    data = np.round(real / products).astype(dtype)
    # The file holds float32; per-tensor biases carry one scale.
    return network.constant(
        data, tuple(map(float, products)) if per_channel else float(products[0])
    )


def conv2d(
    network: Network,
    value: Value,
    channels: int,
    kernel: tuple[int, int] = (3, 3),
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    activation: str | None = None,
    per_channel: bool = True,
    with_bias: bool = True,
    mean_scale: float = 0.008,
) -> Value:
    """CONV_2D; kernel, stride and dilation are `(y, x)`.

    `mean_scale` is the mean of the weights' scales.
    """
    n, height, width, depth = value.shape
    _, filters, scales = weights(
        network,
        (channels, *kernel, depth),
        0,
        per_channel=per_channel,
        mean_scale=mean_scale,
    )
    rms = _accumulator_rms(value, scales, math.prod(kernel) * depth)
    inputs = [value, filters]
    if with_bias:
        inputs.append(bias(network, value, scales, rms, per_channel=per_channel))
    options = schema.Conv2DOptionsT()
    options.padding = _PADDINGS[padding]
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    options.fusedActivationFunction = activation_code(activation)
    shape = (
        n,
        output_size(height, kernel[0], stride[0], dilation[0], padding),
        output_size(width, kernel[1], stride[1], dilation[1], padding),
        channels,
    )
    return network.apply(
        "CONV_2D", inputs, shape, value.dtype, _fitting(value, rms, activation), options, 5
    )


def depthwise(
    network: Network,
    value: Value,
    multiplier: int = 1,
    kernel: tuple[int, int] = (3, 3),
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    activation: str | None = None,
    per_channel: bool = True,
    with_bias: bool = True,
) -> Value:
    """DEPTHWISE_CONV_2D; kernel, stride and dilation are `(y, x)`."""
    n, height, width, depth = value.shape
    channels = depth * multiplier
    _, filters, scales = weights(network, (1, *kernel, channels), 3, per_channel=per_channel)
    rms = _accumulator_rms(value, scales, math.prod(kernel))
    inputs = [value, filters]
    if with_bias:
        inputs.append(bias(network, value, scales, rms, per_channel=per_channel))
    options = schema.DepthwiseConv2DOptionsT()
    options.padding = _PADDINGS[padding]
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    options.depthMultiplier = multiplier
    options.fusedActivationFunction = activation_code(activation)
    shape = (
        n,
        output_size(height, kernel[0], stride[0], dilation[0], padding),
        output_size(width, kernel[1], stride[1], dilation[1], padding),
        channels,
    )
    return network.apply(
        "DEPTHWISE_CONV_2D",
        inputs,
        shape,
        value.dtype,
        _fitting(value, rms, activation),
        options,
        6,
    )


def transpose_conv(
    network: Network,
    value: Value,
    channels: int,
    kernel: tuple[int, int] = (3, 3),
    *,
    stride: tuple[int, int] = (2, 2),
    padding: str = "SAME",
    per_channel: bool = True,
    with_bias: bool = True,
) -> Value:
    """TRANSPOSE_CONV to the output size its gradient convolution would have come from."""
    n, height, width, depth = value.shape
    _, filters, scales = weights(network, (channels, *kernel, depth), 0, per_channel=per_channel)
    taps = math.prod(kernel) * depth / math.prod(stride)
    rms = _accumulator_rms(value, scales, taps)
    sizes = [
        size * step if padding == "SAME" else size * step + max(taps - step, 0)
        for size, step, taps in zip((height, width), stride, kernel, strict=True)
    ]
    shape = (n, *sizes, channels)
    inputs = [network.integers(*shape), filters, value]
    if with_bias:
        inputs.append(bias(network, value, scales, rms, per_channel=per_channel))
    options = schema.TransposeConvOptionsT()
    options.padding = _PADDINGS[padding]
    options.strideH, options.strideW = stride
    return network.apply(
        "TRANSPOSE_CONV", inputs, shape, value.dtype, _fitting(value, rms, None), options, 3
    )


def fully_connected(
    network: Network,
    value: Value,
    units: int,
    *,
    activation: str | None = None,
    per_channel: bool = False,
    with_bias: bool = True,
    quantisation: Quantisation | None = None,
    mean_scale: float = 0.008,
) -> Value:
    """FULLY_CONNECTED over the last dimension of a `[1, n]` value.

    `mean_scale` is the mean of the weights' scales.
    """
    depth = value.shape[-1]
    _, filters, scales = weights(
        network, (units, depth), 0, per_channel=per_channel, mean_scale=mean_scale
    )
    rms = _accumulator_rms(value, scales, depth)
    inputs: list[Value] = [value, filters]
    if with_bias:
        inputs.append(bias(network, value, scales, rms, per_channel=per_channel))
    options: Any = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = activation_code(activation)
    # TFLite drops all but the last dimension unless told to keep them.
    options.keepNumDims = len(value.shape) > 2
    return network.apply(
        "FULLY_CONNECTED",
        inputs,
        (*value.shape[:-1], units),
        value.dtype,
        quantisation or _fitting(value, rms, activation),
        options,
        5,
    )


def _accumulator_rms(value: Value, scales: tuple[float, ...], taps: float) -> float:
    return value.rms * WEIGHTS_RMS * float(np.mean(scales)) * math.sqrt(taps)


def _fitting(value: Value, rms: float, activation: str | None) -> Quantisation:
    return output_quantisation(value.dtype, value.scale_for(rms), activation)
