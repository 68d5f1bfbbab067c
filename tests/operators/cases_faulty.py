"""What Vela 5.2.0 compiles wrongly, smallest examples; `graphs` stays clear of them.

Each was found because the simulator's outputs differed from TFLite-Micro's, and read off the
command stream.
"""

from __future__ import annotations

from collections.abc import Iterator

from targets.ethos_u55.accelerators import Accelerator
from tests.operators import shaping
from tests.operators.case import Case
from tests.operators.network import Network, Quantisation, Value
from tests.operators.pointwise import binary, requantise, table, unary
from tests.operators.reducing import reduce_
from tests.operators.weighted import depthwise, transpose_conv

__all__ = ["cases"]

_ONE_CHANNEL = ((0, 0), (0, 0), (0, 0), (1, 0))


def cases() -> Iterator[Case]:
    """All of them but the single operators, which stand with their kind."""
    yield Case(
        "graph/relu-of-strided-slice",
        _relu_of_strided_slice,
        vela_fault="the RELU is fused into the producer and the strides are lost",
    )
    yield Case(
        "graph/depthwise-of-strided-slice",
        _depthwise_of_strided_slice,
        vela_fault="the padded window starts one column off",
    )
    yield Case(
        "graph/transpose-conv-of-slice",
        _transpose_conv_of_slice,
        vela_fault="the padding lies below and to the right, not above and to the left",
    )
    yield Case(
        "graph/maximum-of-part",
        _maximum_of_part,
        vela_fault="the maximum over height or depth is taken from the start of the whole",
    )
    yield Case(
        "graph/padded-maximum",
        _padded_maximum,
        vela_fault="a maximum over height or depth takes its own shape for the padded one",
    )
    yield Case(
        "graph/padded-half-pixel-resize",
        _padded_resize,
        vela_fault="a half-pixel bilinear resize takes its own shape for the padded one",
    )
    yield Case(
        "graph/sum-with-strided-slice",
        _sum_with_strided_slice,
        vela_fault="the second operand is repeated as if the first were not sliced",
    )
    yield Case(
        "graph/both-repeated-one-tensor",
        _both_repeated,
        vela_fault="operands that are one tensor in two shapes are mixed up",
    )
    yield Case(
        "graph/sigmoid-of-transposition",
        _sigmoid_of_transposition,
        vela_fault="the table lies beyond the SHRAM",
        fault_on=frozenset((Accelerator.U55_32, Accelerator.U55_64)),
    )
    yield Case(
        "graph/sigmoid-of-reshaped-transposition",
        _sigmoid_of_reshaped_transposition,
        vela_fault="the table lies beyond the SHRAM",
        fault_on=frozenset((Accelerator.U55_32, Accelerator.U55_64)),
    )
    yield Case(
        "graph/requantised-twice",
        _requantised_twice,
        vela_fault="the clamp between two requantisations of the same scale is lost",
    )


def _relu_of_strided_slice(network: Network) -> Value:
    value = network.input((1, 3, 1, 1))
    doubled = binary(network, "ADD", value, value)
    every_second = shaping.strided_slice(
        network, doubled, (0, 0, 0, 0), doubled.shape, (1, 2, 1, 1)
    )
    return unary(network, every_second, "RELU")


def _depthwise_of_strided_slice(network: Network) -> Value:
    value = network.input((1, 4, 6, 3))
    every_second = shaping.strided_slice(network, value, (0, 0, 0, 0), value.shape, (1, 1, 2, 1))
    return depthwise(network, every_second)


def _transpose_conv_of_slice(network: Network) -> Value:
    value = network.input((1, 5, 5, 2))
    lower = shaping.slice_(network, value, (0, 1, 0, 0), (1, 4, 5, 2))
    return transpose_conv(network, lower, 3)


def _maximum_of_part(network: Network) -> Value:
    value = network.input((1, 4, 5, 2))
    _, second = shaping.split(network, value, 3, 2)
    return reduce_(network, second, "REDUCE_MAX", (1,))


def _padded_maximum(network: Network) -> Value:
    maximum = reduce_(network, network.input((1, 4, 5, 3)), "REDUCE_MAX", (1,))
    return shaping.pad(network, maximum, _ONE_CHANNEL)


def _padded_resize(network: Network) -> Value:
    value = network.input((1, 4, 5, 3))
    resized = shaping.resize(network, value, (8, 10), bilinear=True, half_pixel=True)
    return shaping.pad(network, resized, _ONE_CHANNEL)


def _sum_with_strided_slice(network: Network) -> Value:
    value = network.input((1, 3, 1, 1))
    every_second = shaping.strided_slice(network, value, (0, 0, 0, 0), value.shape, (1, 2, 1, 1))
    return binary(network, "ADD", every_second, network.input((1, 2, 1, 1)))


def _both_repeated(network: Network) -> Value:
    value = network.input((1, 1, 5, 1))
    return binary(network, "ADD", value, shaping.reshape(network, value, (1, 5, 1, 1)))


def _sigmoid_of_transposition(network: Network) -> Value:
    value = network.input((1, 2, 3, 1))
    return table(network, shaping.transpose(network, value, (0, 2, 1, 3)), "LOGISTIC")


def _sigmoid_of_reshaped_transposition(network: Network) -> Value:
    value = network.input((1, 2, 3, 1))
    turned = shaping.transpose(network, value, (0, 2, 1, 3))
    return table(network, shaping.reshape(network, turned, (1, 6)), "LOGISTIC")


def _requantised_twice(network: Network) -> Value:
    value = network.input((1, 1, 1, 1), scale=0.0157, zero_point=3)
    saturated = requantise(network, value, "int8", Quantisation(0.00942, 0))
    return requantise(network, saturated, "int8", Quantisation(0.00942, 1))
