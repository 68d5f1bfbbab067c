"""A network while a random graph is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.operators.network import Network, Quantisation, Value

__all__ = ["LARGEST", "Growth"]

#: Elements of a feature map. Keeps an example at a few milliseconds.
LARGEST = 3000

T = TypeVar("T")


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
        #: Indices of values that a requantisation made, or of such reshaped. Vela makes one of two
        #: with the same scale, without the clamp between them.
        self.requantised: set[int] = set()

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
