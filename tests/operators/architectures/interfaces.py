"""Networks that are special at their ends: several inputs, floats, uint8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai_edge_litert import schema_py_generated as schema

from tests.operators.architectures.architecture import Architecture, family
from tests.operators.architectures.blocks import (
    classify,
    flatten,
    inverted_residual,
    joined,
    pointwise_conv,
    scores,
    separable,
)
from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import binary, requantise, softmax, table
from tests.operators.reducing import reduce_
from tests.operators.weighted import conv2d, fully_connected

__all__ = ["architectures"]


def architectures() -> Iterator[Architecture]:
    """All of them."""
    yield from family(
        "siamese",
        ("siamese_difference", siamese),
        ("siamese_product", matching),
        ("two_towers", two_towers),
        ("three_sensors", three_sensors),
    )
    yield from family(
        "float interface",
        ("float_cnn", float_cnn),
        ("float_two_outputs", float_two_outputs),
        ("float_mixed_inputs", float_mixed),
        ("float_int16", float_int16),
    )
    yield from family(
        "uint8",
        ("uint8_camera", uint8_camera),
        ("uint8_both_ends", uint8_both_ends),
        ("uint8_two_heads", uint8_two_heads),
    )


def embedding(network: Network, value: Value) -> Value:
    value = conv2d(network, value, 8, stride=(2, 2), activation="RELU")
    value = separable(network, value, 12, stride=(2, 2), activation="RELU")
    return scores(network, flatten(network, value), 16)


def siamese(network: Network) -> Value:
    """How far two images are apart."""
    pair = [embedding(network, network.input((1, 12, 12, 1))) for _ in range(2)]
    apart = binary(network, "SQUARED_DIFFERENCE", *pair)
    return table(network, scores(network, apart, 4, rms=2.0), "LOGISTIC")


def matching(network: Network) -> Value:
    pair = [embedding(network, network.input((1, 12, 12, 1))) for _ in range(2)]
    return fully_connected(network, binary(network, "MUL", *pair), 2)


def two_towers(network: Network) -> Value:
    """An image and a vector of features."""
    image = embedding(network, network.input((1, 12, 12, 3)))
    features = fully_connected(network, network.input((1, 20)), 16, activation="RELU")
    both = joined(network, [image, features], 1)
    return softmax(network, scores(network, both, 4))


def three_sensors(network: Network) -> Value:
    """Three channels of 1-D signals, each with its own convolution, and their maximum."""
    maps = [
        conv2d(network, network.input((1, 1, 16, 3)), 8, kernel=(1, 5), activation="RELU")
        for _ in range(3)
    ]
    value = conv2d(network, joined(network, maps), 12, kernel=(1, 3), activation="RELU")
    highest = reduce_(network, value, "REDUCE_MAX", (2,))
    return fully_connected(network, flatten(network, highest), 4)


def from_floats(network: Network, shape: Sequence[int], dtype: str = "int8") -> Value:
    """QUANTIZE of a float input."""
    to = Quantisation(0.0157, -3) if dtype == "int8" else Quantisation(2 / 32768)
    return requantise(network, network.input(shape, "float32"), dtype, to)


def to_floats(network: Network, value: Value) -> Value:
    """DEQUANTIZE."""
    options = schema.DequantizeOptionsT()
    return network.apply("DEQUANTIZE", [value], value.shape, "float32", None, options, 2)


def float_cnn(network: Network) -> Value:
    value = conv2d(network, from_floats(network, (1, 12, 12, 3)), 8, activation="RELU")
    return to_floats(network, classify(network, separable(network, value, 12), 5))


def float_two_outputs(network: Network) -> Sequence[Value]:
    value = from_floats(network, (1, 12, 12, 3))
    value = inverted_residual(network, conv2d(network, value, 8, stride=(2, 2)), 8)
    heads = table(network, pointwise_conv(network, value, 2), "LOGISTIC"), conv2d(network, value, 4)
    return [to_floats(network, head) for head in heads]


def float_mixed(network: Network) -> Value:
    """One input of floats, one of int8; the output is int8."""
    image = embedding(network, from_floats(network, (1, 12, 12, 3)))
    features = fully_connected(network, network.input((1, 10)), 16)
    return fully_connected(network, binary(network, "ADD", image, features), 3)


def float_int16(network: Network) -> Value:
    value = conv2d(network, from_floats(network, (1, 12, 12, 1), "int16"), 8, activation="RELU")
    return to_floats(network, fully_connected(network, flatten(network, value), 4))


def uint8_camera(network: Network) -> Value:
    """Pixels as a camera gives them."""
    pixels = network.input((1, 16, 16, 3), "uint8")
    value = requantise(network, pixels, "int8", Quantisation(0.0157, -3))
    return classify(network, separable(network, conv2d(network, value, 8), 12), 6)


def as_uint8(network: Network, value: Value) -> Value:
    return requantise(network, value, "uint8", Quantisation(value.scale, value.zero_point + 128))


def uint8_both_ends(network: Network) -> Value:
    return as_uint8(network, uint8_camera(network))


def uint8_two_heads(network: Network) -> Sequence[Value]:
    pixels = network.input((1, 12, 12, 3), "uint8")
    value = requantise(network, pixels, "int8", Quantisation(0.0157, -3))
    value = conv2d(network, value, 8, stride=(2, 2), activation="RELU")
    heads = pointwise_conv(network, value, 4), conv2d(network, value, 2)
    return [as_uint8(network, head) for head in heads]
