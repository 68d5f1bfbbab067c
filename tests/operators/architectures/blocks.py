"""What networks are made of: blocks of several operators, in the type of their input."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import binary, leaky_relu, requantise, softmax, table, unary
from tests.operators.reducing import mean, pool
from tests.operators.shaping import concatenate, reshape, resize, transpose
from tests.operators.weighted import WEIGHTS_RMS, conv2d, depthwise, fully_connected

__all__ = [
    "Layer",
    "batch_matmul",
    "classify",
    "flatten",
    "gelu",
    "hard_swish",
    "inverted_residual",
    "joined",
    "layer_norm",
    "leaky",
    "mean_of_plane",
    "pointwise_conv",
    "pooled",
    "relu6_gate",
    "residual",
    "reverse",
    "scaled_conv",
    "scores",
    "separable",
    "shuffle_channels",
    "squeeze_excite",
    "swish",
    "tokens",
    "upsample",
]

#: One value in, one value out.
Layer = Callable[[Network, Value], Value]


def joined(network: Network, values: Sequence[Value], axis: int = 3) -> Value:
    """CONCATENATION of values that are first brought to one quantisation, as a converter does."""
    first = values[0]
    assert first.quantisation is not None
    alike = [
        value
        if value.quantisation == first.quantisation
        else requantise(network, value, value.dtype, first.quantisation)
        for value in values
    ]
    return concatenate(network, alike, axis)


def flatten(network: Network, value: Value) -> Value:
    """`[1, n]`."""
    return reshape(network, value, (1, math.prod(value.shape)))


def tokens(network: Network, value: Value) -> Value:
    """A feature map as a sequence: `[1, height * width, channels]`."""
    _, height, width, channels = value.shape
    return reshape(network, value, (1, height * width, channels))


def classify(network: Network, value: Value, classes: int) -> Value:
    """The mean over the plane, a fully connected layer, and softmax."""
    return softmax(network, scores(network, mean_of_plane(network, value), classes))


def scores(network: Network, value: Value, units: int, rms: float = 3.0) -> Value:
    """A fully connected layer whose outputs are about `rms`, as those before a softmax are."""
    scale = rms / (value.rms * WEIGHTS_RMS * math.sqrt(value.shape[-1]))
    return fully_connected(network, value, units, mean_scale=scale)


def scaled_conv(
    network: Network,
    value: Value,
    channels: int,
    kernel: tuple[int, int] = (3, 3),
    *,
    stride: tuple[int, int] = (1, 1),
    activation: str | None = None,
    rms: float = 3.0,
) -> Value:
    """A convolution whose outputs are about `rms`: where a sigmoid is not yet flat, nor a RELU6
    at its end.
    """
    taps = math.prod(kernel) * value.shape[3]
    scale = rms / (value.rms * WEIGHTS_RMS * math.sqrt(taps))
    return conv2d(
        network, value, channels, kernel, stride=stride, activation=activation, mean_scale=scale
    )


def mean_of_plane(network: Network, value: Value) -> Value:
    """`[1, channels]`."""
    return flatten(network, mean(network, value, (1, 2), narrow=False))


def pointwise_conv(
    network: Network, value: Value, channels: int, activation: str | None = None
) -> Value:
    """A 1x1 convolution with outputs of moderate size."""
    return scaled_conv(network, value, channels, (1, 1), activation=activation)


def separable(
    network: Network,
    value: Value,
    channels: int,
    *,
    stride: tuple[int, int] = (1, 1),
    kernel: tuple[int, int] = (3, 3),
    activation: str | None = "RELU6",
) -> Value:
    """A depthwise convolution and a pointwise one, as in MobileNet v1."""
    value = depthwise(network, value, kernel=kernel, stride=stride, activation=activation)
    return pointwise_conv(network, value, channels, activation)


def inverted_residual(
    network: Network,
    value: Value,
    channels: int,
    *,
    expand: int = 4,
    stride: tuple[int, int] = (1, 1),
    kernel: tuple[int, int] = (3, 3),
    between: Layer | None = None,
) -> Value:
    """Expansion, depthwise convolution, projection, as in MobileNet v2; `between` the last two.

    The input is added where the shape stays.
    """
    wide = pointwise_conv(network, value, value.shape[3] * expand, "RELU6")
    wide = depthwise(network, wide, kernel=kernel, stride=stride, activation="RELU6")
    if between is not None:
        wide = between(network, wide)
    narrow = pointwise_conv(network, wide, channels)
    return binary(network, "ADD", value, narrow) if narrow.shape == value.shape else narrow


def residual(network: Network, value: Value, channels: int, stride: int = 1) -> Value:
    """ResNet's basic block; a 1x1 convolution on the shortcut where the shape changes."""
    steps = (stride, stride)
    branch = conv2d(network, value, channels, stride=steps, activation="RELU")
    branch = conv2d(network, branch, channels)
    if branch.shape != value.shape:
        value = conv2d(network, value, channels, kernel=(1, 1), stride=steps)
    return binary(network, "ADD", value, branch, activation="RELU")


def squeeze_excite(network: Network, value: Value, ratio: int = 4) -> Value:
    """Each channel, weighted by a sigmoid of all channels' means."""
    channels = value.shape[3]
    squeezed = mean(network, value, (1, 2), narrow=False)
    hidden = pointwise_conv(network, squeezed, max(channels // ratio, 2), "RELU")
    weights = table(network, pointwise_conv(network, hidden, channels), "LOGISTIC")
    return binary(network, "MUL", value, weights)


def swish(network: Network, value: Value) -> Value:
    """`x * sigmoid(x)`, from two operators."""
    return binary(network, "MUL", value, table(network, value, "LOGISTIC"))


def hard_swish(network: Network, value: Value) -> Value:
    """HARD_SWISH."""
    return unary(network, value, "HARD_SWISH")


def relu6_gate(network: Network, value: Value) -> Value:
    """`x * relu6(x + 3) / 6`, the hard swish of converters that have no operator for it."""
    low = -128 if value.dtype == "int8" else 0
    three = network.constant(np.array([[127]], value.dtype), 3 / (127 - low), low)
    gate = binary(network, "ADD", value, three, activation="RELU6")
    return binary(network, "MUL", value, gate)


def leaky(network: Network, value: Value, alpha: float = 0.1, ratio: float = 0.837) -> Value:
    """LEAKY_RELU to an output scale of its own, as calibration gives it."""
    to = Quantisation(value.scale * ratio, value.zero_point)
    return leaky_relu(network, value, alpha, quantisation=to)


def gelu(network: Network, value: Value) -> Value:
    """GELU, quantised as its input."""
    options = schema.GeluOptionsT()
    options.approximate = False
    return network.apply("GELU", [value], value.shape, value.dtype, value.quantisation, options, 1)


def upsample(network: Network, value: Value, *, bilinear: bool = False) -> Value:
    """Twice the height and width."""
    size = (value.shape[1] * 2, value.shape[2] * 2)
    return resize(network, value, size, bilinear=bilinear, half_pixel=False)


def shuffle_channels(network: Network, value: Value, groups: int) -> Value:
    """ShuffleNet's exchange between groups of channels."""
    n, height, width, channels = value.shape
    apart = reshape(network, value, (n, height * width, groups, channels // groups))
    return reshape(network, transpose(network, apart, (0, 1, 3, 2)), value.shape)


def batch_matmul(network: Network, a: Value, b: Value, *, adjoint_b: bool = False) -> Value:
    """BATCH_MATMUL of two activations `[1, n, k]` and `[1, k, m]` (`[1, m, k]`, if adjoint)."""
    options = schema.BatchMatMulOptionsT()
    options.adjY = adjoint_b
    columns = b.shape[-2] if adjoint_b else b.shape[-1]
    scale = a.scale_for(a.rms * b.rms * math.sqrt(a.shape[-1]))
    quantisation = Quantisation(scale)
    shape = (*a.shape[:-1], columns)
    return network.apply("BATCH_MATMUL", [a, b], shape, a.dtype, quantisation, options, 4)


def layer_norm(network: Network, value: Value) -> Value:
    """Layer normalisation over the last dimension, as converters write it out."""
    last = len(value.shape) - 1
    centred = binary(network, "SUB", value, mean(network, value, (last,), narrow=False))
    variance = mean(network, binary(network, "MUL", centred, centred), (last,), narrow=False)
    inverse = unary(network, variance, "RSQRT", quantisation=Quantisation(4 / 256, -128))
    normal = binary(network, "MUL", centred, inverse)
    gain = network.random.integers(90, 127, value.shape[last:]).astype(np.int8)
    return binary(network, "MUL", normal, network.constant(gain, 1 / 127))


def reverse(network: Network, value: Value, axis: int) -> Value:
    """REVERSE_V2 along one axis."""
    return network.apply(
        "REVERSE_V2",
        [value, network.integers(axis)],
        value.shape,
        value.dtype,
        value.quantisation,
        schema.ReverseV2OptionsT(),
    )


def pooled(network: Network, value: Value, kind: str = "MAX") -> Value:
    """A 2x2 pool of stride 2."""
    return pool(network, value, kind, (2, 2))
