"""What Vela compiles wrongly, in the middle of networks that hide it: layers before and after it,
and heads in which its share of the result is small.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.operators import shaping
from tests.operators.architectures.blocks import (
    Layer,
    classify,
    flatten,
    mean_of_plane,
    pointwise_conv,
    scores,
)
from tests.operators.network import Network, Value
from tests.operators.pointwise import binary
from tests.operators.reducing import reduce_
from tests.operators.weighted import conv2d, depthwise, fully_connected, transpose_conv

__all__ = ["FAULTS", "HEADS", "hidden"]

_ONE_CHANNEL = ((0, 0), (0, 0), (0, 0), (1, 0))


def depthwise_of_strided_slice(network: Network, value: Value) -> Value:
    every_second = shaping.strided_slice(network, value, (0, 0, 0, 0), value.shape, (1, 1, 2, 1))
    return depthwise(network, every_second)


def transpose_conv_of_slice(network: Network, value: Value) -> Value:
    _, height, width, depth = value.shape
    lower = shaping.slice_(network, value, (0, 1, 0, 0), (1, height - 1, width, depth))
    return transpose_conv(network, lower, 8)


def maximum_of_part(network: Network, value: Value) -> Value:
    _, second = shaping.split(network, value, 3, 2)
    return reduce_(network, second, "REDUCE_MAX", (1,))


def padded_maximum(network: Network, value: Value) -> Value:
    return shaping.pad(network, reduce_(network, value, "REDUCE_MAX", (1,)), _ONE_CHANNEL)


def maximum_without_dimension(network: Network, value: Value) -> Value:
    highest = reduce_(network, value, "REDUCE_MAX", (2,), keep_dims=False)
    return shaping.reshape(network, highest, (1, highest.shape[1], 1, highest.shape[2]))


def mirrored_channels(network: Network, value: Value) -> Value:
    return shaping.mirror_pad(network, value, ((0, 0), (0, 0), (0, 0), (2, 2)), "REFLECT")


def padded_resize(network: Network, value: Value) -> Value:
    size = (value.shape[1] * 2, value.shape[2] * 2)
    resized = shaping.resize(network, value, size, bilinear=True, half_pixel=True)
    return shaping.pad(network, resized, _ONE_CHANNEL)


FAULTS: tuple[Layer, ...] = (
    depthwise_of_strided_slice,
    transpose_conv_of_slice,
    maximum_of_part,
    padded_maximum,
    maximum_without_dimension,
    mirrored_channels,
    padded_resize,
)


def as_logits(network: Network, value: Value, _: Value) -> Value:
    return scores(network, mean_of_plane(network, value), 10)


def as_classes(network: Network, value: Value, _: Value) -> Value:
    return classify(network, value, 10)


def as_map(network: Network, value: Value, _: Value) -> Value:
    return pointwise_conv(network, value, 4)


def beside_a_larger_branch(network: Network, value: Value, before: Value) -> Value:
    larger = fully_connected(network, flatten(network, before), 10)
    return binary(network, "ADD", larger, as_logits(network, value, before))


HEADS: tuple[Callable[[Network, Value, Value], Value], ...] = (
    as_logits,
    as_classes,
    as_map,
    beside_a_larger_branch,
)


def hidden(
    fault: Layer,
    head: Callable[[Network, Value, Value], Value],
    dtype: str = "int8",
    seed: int = 11,
) -> bytes:
    """The `.tflite` file of a network with `fault` in the middle."""
    network = Network(seed)
    before = conv2d(network, network.input((1, 24, 24, 3), dtype), 8, activation="RELU")
    after = conv2d(network, fault(network, before), 12, activation="RELU")
    return network.serialise([head(network, after, before)])
