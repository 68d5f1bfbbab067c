"""The steps of random graphs: each draws an operator's parameters and appends it to the network.

A step gets a value and a second one, its partner, and returns what it has made.
"""

from __future__ import annotations

from tests.operators import shaping
from tests.operators.graph_conditions import axes, elements
from tests.operators.growth import Growth
from tests.operators.network import Value
from tests.operators.pointwise import (
    binary,
    constant_like,
    leaky_relu,
    prelu,
    requantise,
    softmax,
    table,
    unary,
)
from tests.operators.reducing import mean, pool, reduce_
from tests.operators.weighted import conv2d, depthwise, fully_connected, transpose_conv


def _activation(growth: Growth) -> str | None:
    return growth.pick(None, "RELU", "RELU6")


def convolution(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [
        conv2d(
            growth.network,
            value,
            growth.number(1, 20),
            growth.pair(1, 4),
            stride=growth.pair(1, 3),
            dilation=growth.pick((1, 1), (2, 2)),
            padding="SAME",
            activation=_activation(growth),
            per_channel=growth.pick(True, False),
            with_bias=growth.pick(True, False),
        )
    ]


def depthwise_convolution(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [
        depthwise(
            growth.network,
            value,
            1,
            growth.pair(1, 4),
            stride=growth.pair(1, 2),
            padding="SAME",
            activation=_activation(growth),
        )
    ]


def transposed_convolution(growth: Growth, value: Value, _: Value) -> list[Value]:
    stride = growth.pick(1, 2)
    return [
        transpose_conv(
            growth.network,
            value,
            growth.number(1, 12),
            growth.pair(1, 3),
            stride=(stride, stride),
        )
    ]


def dense(growth: Growth, value: Value, _: Value) -> list[Value]:
    flat = value
    if len(value.shape) != 2:
        flat = shaping.reshape(growth.network, value, (1, elements(value)))
    return [
        fully_connected(
            growth.network,
            flat,
            growth.number(1, 20),
            activation=_activation(growth),
            per_channel=growth.dtype == "int8" and growth.pick(False, True),
            # Vela, like LiteRT, multiplies the scales of a dense layer in float32, TFLite-Micro in
            # double; with a power of two that is the same. With 0.008 about one element in a
            # million falls on the other side of a tie.
            mean_scale=2**-7,
        )
    ]


def pooling(growth: Growth, value: Value, _: Value) -> list[Value]:
    kernel = (growth.number(1, min(4, value.shape[1])), growth.number(1, min(4, value.shape[2])))
    return [
        pool(
            growth.network,
            value,
            growth.pick("MAX", "AVERAGE"),
            kernel,
            stride=growth.pair(1, 3),
            padding=growth.pick("VALID", "SAME"),
        )
    ]


def arithmetic(growth: Growth, value: Value, partner: Value) -> list[Value]:
    builtin = growth.pick(*growth.arithmetic)
    first, second = growth.pick((value, partner), (partner, value))
    return [binary(growth.network, builtin, first, second, activation=_activation(growth))]


def with_constant(growth: Growth, value: Value, _: Value) -> list[Value]:
    shape = growth.pick((), value.shape[-1:], value.shape)
    constant = constant_like(growth.network, value, shape)
    builtin = growth.pick(*growth.arithmetic)
    first, second = growth.pick((value, constant), (constant, value))
    return [binary(growth.network, builtin, first, second)]


def with_input(growth: Growth, value: Value, _: Value) -> list[Value]:
    extents = [growth.pick(extent, 1) for extent in value.shape[1:]]
    other = growth.input((1, *extents))
    builtin = growth.pick(*growth.arithmetic)
    first, second = growth.pick((value, other), (other, value))
    return [binary(growth.network, builtin, first, second)]


def extreme(growth: Growth, value: Value, _: Value) -> list[Value]:
    shape = growth.pick((), value.shape[-1:], value.shape)
    constant = constant_like(growth.network, value, shape, same_scale=True)
    return [binary(growth.network, growth.pick("MINIMUM", "MAXIMUM"), value, constant)]


def clamp(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [unary(growth.network, value, growth.pick("RELU", "RELU6"))]


def leaky(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [leaky_relu(growth.network, value, growth.pick(0.1, 0.5))]


def prelus(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [prelu(growth.network, value)]


def sigmoid(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [table(growth.network, value, growth.pick("LOGISTIC", "TANH"))]


def swish(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [unary(growth.network, value, "HARD_SWISH")]


# Two entries of Vela's 16-bit reciprocal table differ from TFLite-Micro's by one, so `graphs`
# offers this for int8 graphs.
def softmaxes(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [softmax(growth.network, value)]


def requantisation(growth: Growth, value: Value, _: Value) -> list[Value]:
    made = requantise(growth.network, value, value.dtype, growth.quantisation(value))
    growth.requantised.add(made.index)
    return [made]


def concatenation(growth: Growth, value: Value, partner: Value) -> list[Value]:
    return [shaping.concatenate(growth.network, [value, partner], len(value.shape) - 1)]


def splitting(growth: Growth, value: Value, _: Value) -> list[Value]:
    axis = growth.pick(*reversed(axes(value, 2)))
    first = growth.number(1, value.shape[axis] - 1)
    sizes = (first, value.shape[axis] - first)
    made = list(shaping.split_v(growth.network, value, axis, sizes))
    growth.parts |= {part.index for part in made}
    return made


def slicing(growth: Growth, value: Value, _: Value) -> list[Value]:
    begin = [growth.number(0, extent - 1) for extent in value.shape]
    size = [
        growth.number(1, extent - start) for extent, start in zip(value.shape, begin, strict=True)
    ]
    part = shaping.slice_(growth.network, value, begin, size)
    growth.parts.add(part.index)
    return [part]


def striding(growth: Growth, value: Value, _: Value) -> list[Value]:
    strides = (1, *growth.pair(1, 2), 1)
    sliced = shaping.strided_slice(growth.network, value, (0,) * 4, value.shape, strides)
    growth.strided.add(sliced.index)
    return [sliced]


def padding(growth: Growth, value: Value, _: Value) -> list[Value]:
    paddings = ((0, 0), growth.pair(0, 2), growth.pair(0, 2), growth.pair(0, 2))
    return [shaping.pad(growth.network, value, paddings)]


def mean_of(growth: Growth, value: Value, _: Value) -> list[Value]:
    axes = growth.pick((1, 2), (1,), (2,))
    return [mean(growth.network, value, axes, narrow=growth.pick(True, False))]


# TFLite-Micro's REDUCE_MAX knows int8 only, so `graphs` offers this for int8 graphs.
def maximum(growth: Growth, value: Value, _: Value) -> list[Value]:
    maximum = reduce_(growth.network, value, "REDUCE_MAX", growth.pick((1,), (2,), (3,)))
    growth.unplaceable.add(maximum.index)
    return [maximum]


def transposition(growth: Growth, value: Value, _: Value) -> list[Value]:
    permutation = growth.pick((0, 2, 1, 3), (0, 1, 3, 2), (0, 3, 1, 2), (0, 2, 3, 1))
    turned = shaping.transpose(growth.network, value, permutation)
    growth.transposed.add(turned.index)
    return [turned]


def reshaping(growth: Growth, value: Value, _: Value) -> list[Value]:
    n, height, width, depth = value.shape
    shapes = ((n, 1, height * width, depth), (n, height, 1, width * depth), (n, elements(value)))
    reshaped = shaping.reshape(growth.network, value, growth.pick(*shapes))
    for kept in (growth.parts, growth.unplaceable, growth.requantised, growth.transposed):
        if value.index in kept:
            kept.add(reshaped.index)
    return [reshaped]


def resizing(growth: Growth, value: Value, _: Value) -> list[Value]:
    size = (value.shape[1] * 2, value.shape[2] * 2)
    half_pixel = growth.pick(False, True)
    # TFLite-Micro has no 16-bit bilinear kernel.
    bilinear = growth.dtype == "int8" and growth.pick(False, True)
    resized = shaping.resize(growth.network, value, size, bilinear=bilinear, half_pixel=half_pixel)
    if bilinear and half_pixel:
        growth.unplaceable.add(resized.index)
    return [resized]
