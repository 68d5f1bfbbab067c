"""Random graphs of two to six operators, as a hypothesis strategy.

Everything is drawn, so that a failure shrinks: to fewer operators, smaller shapes, plainer
parameters. Not drawn is what Vela 5.2.0 is known to compute otherwise than TFLite-Micro; each
such restriction stands where it is made, with its reason, and `cases_*` asserts the facts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.operators import shaping
from tests.operators.network import Network, Quantisation, Value
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

__all__ = ["Graph", "graphs"]

#: Elements of a feature map. Keeps an example at a few milliseconds.
LARGEST = 3000

T = TypeVar("T")
Step = Callable[["Growth", Value], "list[Value]"]


class Graph:
    """A random model. Its representation tells how it was built.

    No dataclass: hypothesis would print the fields instead.
    """

    def __init__(self, model: bytes, lines: Sequence[str]) -> None:
        self.model = model
        self.lines = tuple(lines)

    def __repr__(self) -> str:
        return "\n".join(("Graph", *self.lines))


class Growth:
    """A network being drawn: the network, the values it has, the draws."""

    def __init__(self, draw: Callable[[Any], Any], dtype: str) -> None:
        self._draw = draw
        self.dtype = dtype
        # The weights' seed: an integer, so that shrinking tries few different weights.
        self.network = Network(draw(st.integers(0, 255)))
        #: Indices of values that a strided slice made. Only ever outputs: Vela folds the strides
        #: into the consumer and gets padded windows, fused RELUs and second operands wrong.
        self.strided: set[int] = set()
        #: Indices of values that a transposition made.
        self.transposed: set[int] = set()
        #: Indices of values that are a part of another, or such a part reshaped. Vela reads them
        #: where they lie: pads a transposed convolution at the wrong end, takes some maxima
        #: from the start of the whole.
        self.parts: set[int] = set()
        #: Indices of maxima and half-pixel bilinear resizes, or of such reshaped. Where a padding
        #: or concatenation is next, Vela has them write into a part of its output, wrongly.
        self.unplaceable: set[int] = set()

    @property
    def arithmetic(self) -> tuple[str, ...]:
        """Binary operators. Vela computes the multiplier of MUL in float, TFLite-Micro in
        double, which shows in 16 bits.
        """
        return ("ADD", "SUB", "MUL") if self.dtype == "int8" else ("ADD", "SUB")

    def pick(self, *choices: T) -> T:
        """One of the choices; the first is the plainest."""
        chosen: T = self._draw(st.sampled_from(choices))
        return chosen

    def number(self, low: int, high: int) -> int:
        """An integer of that range, ends included."""
        drawn: int = self._draw(st.integers(low, high))
        return drawn

    def pair(self, low: int, high: int) -> tuple[int, int]:
        """Two of them: height and width."""
        return self.number(low, high), self.number(low, high)

    def input(self, shape: tuple[int, ...]) -> Value:
        """A further model input."""
        if self.dtype == "int16":
            return self.network.input(shape, "int16", self.pick(1.0, 0.3, 4.0) / 32768, 0)
        return self.network.input(
            shape, "int8", self.pick(0.0157, 0.003, 0.08), self.number(-128, 127)
        )

    def quantisation(self, like: Value) -> Quantisation:
        """A quantisation not far from that of `like`."""
        scale = like.scale * self.pick(1.0, 0.6, 1.7)
        return Quantisation(scale, 0 if self.dtype == "int16" else self.number(-128, 127))


@st.composite
def graphs(draw: Callable[[Any], Any]) -> Graph:
    """Chains and small directed acyclic graphs; every value nobody consumes is an output."""
    growth = Growth(draw, draw(st.sampled_from(("int8", "int8", "int8", "int16"))))
    values = [growth.input((1, *growth.pair(1, 8), growth.number(1, 20)))]
    lines = [f"input {value.dtype} {_quantised(value)}" for value in values]
    consumed: set[int] = set()
    for _ in range(growth.number(2, 6)):
        # The newest first: without a choice a chain grows.
        usable = [value for value in reversed(values) if value.index not in growth.strided]
        value = growth.pick(*usable)
        partner = growth.pick(*usable)
        steps = [name for name, step in _STEPS.items() if step.takes(growth, value, partner)]
        name = growth.pick(*steps)
        made = _STEPS[name].make(growth, value, partner)
        consumed |= {value.index} | ({partner.index} if _STEPS[name].joins else set())
        results = ", ".join(f"{new.index} {_quantised(new)}" for new in made)
        others = f", {partner.index}" if _STEPS[name].joins else ""
        lines.append(f"{name}({value.index}{others}) -> {results}")
        values += made
    leaves = [value for value in values if value.index not in consumed]
    return Graph(growth.network.serialise(leaves), tuple(lines))


def _quantised(value: Value) -> str:
    return f"{list(value.shape)} {value.scale:.6g}/{value.zero_point}"


@dataclass(frozen=True)
class _Kind:
    """One kind of step: when it can be taken and what it adds."""

    takes: Callable[[Growth, Value, Value], bool]
    make: Callable[[Growth, Value, Value], list[Value]]
    #: Whether the partner is consumed as well.
    joins: bool = False


def _size(value: Value) -> int:
    product = 1
    for extent in value.shape:
        product *= extent
    return product


def _map(_: Growth, value: Value, __: Value) -> bool:
    return len(value.shape) == 4


def _int8_map(growth: Growth, value: Value, _: Value) -> bool:
    return growth.dtype == "int8" and len(value.shape) == 4


def _small_map(growth: Growth, value: Value, _: Value) -> bool:
    return _map(growth, value, value) and _size(value) * 4 <= LARGEST


def _activation(growth: Growth) -> str | None:
    return growth.pick(None, "RELU", "RELU6")


def _convolution(growth: Growth, value: Value, _: Value) -> list[Value]:
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


def _depthwise(growth: Growth, value: Value, _: Value) -> list[Value]:
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


def _whole_map(growth: Growth, value: Value, _: Value) -> bool:
    return _small_map(growth, value, value) and value.index not in growth.parts


def _transposed(growth: Growth, value: Value, _: Value) -> list[Value]:
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


def _dense(growth: Growth, value: Value, _: Value) -> list[Value]:
    flat = value
    if len(value.shape) != 2:
        flat = shaping.reshape(growth.network, value, (1, _size(value)))
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
            tensor_scale=2**-7,
        )
    ]


def _pool(growth: Growth, value: Value, _: Value) -> list[Value]:
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


def _arithmetic(growth: Growth, value: Value, partner: Value) -> list[Value]:
    builtin = growth.pick(*growth.arithmetic)
    first, second = growth.pick((value, partner), (partner, value))
    return [binary(growth.network, builtin, first, second, activation=_activation(growth))]


def _fits(_: Growth, value: Value, partner: Value) -> bool:
    # Never both repeated: Vela mixes the operands up where they are one tensor, reshaped.
    if len(value.shape) != len(partner.shape):
        return False
    pairs = list(zip(value.shape, partner.shape, strict=True))
    return all(a == b or b == 1 for a, b in pairs) or all(a == b or a == 1 for a, b in pairs)


def _with_constant(growth: Growth, value: Value, _: Value) -> list[Value]:
    shape = growth.pick((), value.shape[-1:], value.shape)
    constant = constant_like(growth.network, value, shape)
    builtin = growth.pick(*growth.arithmetic)
    first, second = growth.pick((value, constant), (constant, value))
    return [binary(growth.network, builtin, first, second)]


def _with_input(growth: Growth, value: Value, _: Value) -> list[Value]:
    extents = [growth.pick(extent, 1) for extent in value.shape[1:]]
    other = growth.input((1, *extents))
    builtin = growth.pick(*growth.arithmetic)
    first, second = growth.pick((value, other), (other, value))
    return [binary(growth.network, builtin, first, second)]


def _extreme(growth: Growth, value: Value, _: Value) -> list[Value]:
    shape = growth.pick((), value.shape[-1:], value.shape)
    constant = constant_like(growth.network, value, shape, same_scale=True)
    return [binary(growth.network, growth.pick("MINIMUM", "MAXIMUM"), value, constant)]


def _clamp(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [unary(growth.network, value, growth.pick("RELU", "RELU6"))]


def _leaky(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [leaky_relu(growth.network, value, growth.pick(0.1, 0.5))]


def _prelu(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [prelu(growth.network, value)]


def _unturned(growth: Growth, value: Value, _: Value) -> bool:
    # Behind a transposition, Vela puts the table beyond the SHRAM of 32 and 64 MACs.
    return value.index not in growth.transposed


def _tabulated(growth: Growth, value: Value, _: Value) -> bool:
    # With a power of two for a scale, sigmoid and tanh of some inputs lie within 1e-4 of half a
    # quantum, and Vela's table (double) rounds them otherwise than TFLite-Micro (fixed point).
    exact = math.frexp(value.scale)[0] == 0.5 and growth.dtype == "int8"
    return not exact and _unturned(growth, value, value)


def _unturned_int8(growth: Growth, value: Value, _: Value) -> bool:
    return growth.dtype == "int8" and _unturned(growth, value, value)


def _sigmoid(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [table(growth.network, value, growth.pick("LOGISTIC", "TANH"))]


def _swish(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [unary(growth.network, value, "HARD_SWISH")]


def _classes(growth: Growth, value: Value, _: Value) -> bool:
    # TFLite-Micro ends the process where exponentials sum up to 512.
    return growth.dtype == "int8" and value.shape[-1] < 512


# Two entries of Vela's 16-bit reciprocal table differ from TFLite-Micro's by one, so `_STEPS`
# offers this for int8 graphs.
def _softmax(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [softmax(growth.network, value)]


def _requantise(growth: Growth, value: Value, _: Value) -> list[Value]:
    return [requantise(growth.network, value, value.dtype, growth.quantisation(value))]


def _placeable_map(growth: Growth, value: Value, _: Value) -> bool:
    return _map(growth, value, value) and value.index not in growth.unplaceable


def _joinable(growth: Growth, value: Value, partner: Value) -> bool:
    return (
        growth.unplaceable.isdisjoint((value.index, partner.index))
        and value.quantisation == partner.quantisation
        and len(value.shape) == len(partner.shape)
        and value.shape[:-1] == partner.shape[:-1]
        and _size(value) + _size(partner) <= LARGEST
    )


def _concatenate(growth: Growth, value: Value, partner: Value) -> list[Value]:
    return [shaping.concatenate(growth.network, [value, partner], len(value.shape) - 1)]


def _split(growth: Growth, value: Value, _: Value) -> list[Value]:
    axis = growth.pick(*reversed(_axes(value, 2)))
    first = growth.number(1, value.shape[axis] - 1)
    sizes = (first, value.shape[axis] - first)
    made = list(shaping.split_v(growth.network, value, axis, sizes))
    growth.parts |= {part.index for part in made}
    return made


def _axes(value: Value, least: int) -> list[int]:
    return [axis for axis in range(1, len(value.shape)) if value.shape[axis] >= least]


def _divisible(_: Growth, value: Value, __: Value) -> bool:
    return bool(_axes(value, 2))


def _slice(growth: Growth, value: Value, _: Value) -> list[Value]:
    begin = [growth.number(0, extent - 1) for extent in value.shape]
    size = [
        growth.number(1, extent - start) for extent, start in zip(value.shape, begin, strict=True)
    ]
    part = shaping.slice_(growth.network, value, begin, size)
    growth.parts.add(part.index)
    return [part]


def _stride(growth: Growth, value: Value, _: Value) -> list[Value]:
    strides = (1, *growth.pair(1, 2), 1)
    sliced = shaping.strided_slice(growth.network, value, (0,) * 4, value.shape, strides)
    growth.strided.add(sliced.index)
    return [sliced]


def _pad(growth: Growth, value: Value, _: Value) -> list[Value]:
    paddings = ((0, 0), growth.pair(0, 2), growth.pair(0, 2), growth.pair(0, 2))
    return [shaping.pad(growth.network, value, paddings)]


def _mean(growth: Growth, value: Value, _: Value) -> list[Value]:
    axes = growth.pick((1, 2), (1,), (2,))
    return [mean(growth.network, value, axes, narrow=growth.pick(True, False))]


def _whole_int8_map(growth: Growth, value: Value, _: Value) -> bool:
    return _int8_map(growth, value, value) and value.index not in growth.parts


# TFLite-Micro's REDUCE_MAX knows int8 only, so `_STEPS` offers this for int8 graphs.
def _maximum(growth: Growth, value: Value, _: Value) -> list[Value]:
    maximum = reduce_(growth.network, value, "REDUCE_MAX", growth.pick((1,), (2,), (3,)))
    growth.unplaceable.add(maximum.index)
    return [maximum]


def _transpose(growth: Growth, value: Value, _: Value) -> list[Value]:
    permutation = growth.pick((0, 2, 1, 3), (0, 1, 3, 2), (0, 3, 1, 2), (0, 2, 3, 1))
    turned = shaping.transpose(growth.network, value, permutation)
    growth.transposed.add(turned.index)
    return [turned]


def _reshape(growth: Growth, value: Value, _: Value) -> list[Value]:
    n, height, width, depth = value.shape
    shapes = ((n, 1, height * width, depth), (n, height, 1, width * depth), (n, _size(value)))
    reshaped = shaping.reshape(growth.network, value, growth.pick(*shapes))
    for kept in (growth.parts, growth.unplaceable):
        if value.index in kept:
            kept.add(reshaped.index)
    return [reshaped]


def _resize(growth: Growth, value: Value, _: Value) -> list[Value]:
    size = (value.shape[1] * 2, value.shape[2] * 2)
    half_pixel = growth.pick(False, True)
    # TFLite-Micro has no 16-bit bilinear kernel.
    bilinear = growth.dtype == "int8" and growth.pick(False, True)
    resized = shaping.resize(growth.network, value, size, bilinear=bilinear, half_pixel=half_pixel)
    if bilinear and half_pixel:
        growth.unplaceable.add(resized.index)
    return [resized]


def _any(_: Growth, __: Value, ___: Value) -> bool:
    return True


_STEPS: dict[str, _Kind] = {
    "clamp": _Kind(_any, _clamp),
    "conv": _Kind(_map, _convolution),
    "depthwise": _Kind(_map, _depthwise),
    "dense": _Kind(_any, _dense),
    "arithmetic": _Kind(_fits, _arithmetic, joins=True),
    "with-constant": _Kind(_any, _with_constant),
    "with-input": _Kind(_any, _with_input),
    "extreme": _Kind(_any, _extreme),
    "pool": _Kind(_map, _pool),
    "requantise": _Kind(_any, _requantise),
    "sigmoid": _Kind(_tabulated, _sigmoid),
    "softmax": _Kind(_classes, _softmax),
    "leaky": _Kind(_unturned, _leaky),
    "prelu": _Kind(_int8_map, _prelu),
    "swish": _Kind(_unturned_int8, _swish),
    "concatenate": _Kind(_joinable, _concatenate, joins=True),
    "split": _Kind(_divisible, _split),
    "slice": _Kind(_any, _slice),
    "strided-slice": _Kind(_map, _stride),
    "pad": _Kind(_placeable_map, _pad),
    "mean": _Kind(_map, _mean),
    "reduce-max": _Kind(_whole_int8_map, _maximum),
    "transpose": _Kind(_map, _transpose),
    "reshape": _Kind(_map, _reshape),
    "resize": _Kind(_small_map, _resize),
    "transpose-conv": _Kind(_whole_map, _transposed),
}
