"""Random graphs of two to six operators, as a hypothesis strategy.

Everything is drawn, so that a failure shrinks: to fewer operators, smaller shapes, plainer
parameters. Not drawn is what Vela 5.2.0 is known to compute otherwise than TFLite-Micro; each
such restriction stands where it is made, with its reason, and `cases_*` asserts the facts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.operators import graph_conditions as takes
from tests.operators import graph_steps as steps
from tests.operators.growth import Growth
from tests.operators.network import Value

__all__ = ["GRAPHS", "SEED", "Graph", "graphs"]

#: Graphs to compare in all, and where they start; `make fuzz-graphs` asks for more, and others.
GRAPHS = int(os.environ.get("BENCH_FUZZ_GRAPHS", "500"))
SEED = int(os.environ.get("BENCH_FUZZ_SEED", "0"))


class Graph:
    """A random model. Its representation tells how it was built.

    No dataclass: hypothesis would print the fields instead.
    """

    def __init__(self, model: bytes, lines: Sequence[str]) -> None:
        self.model = model
        self.lines = tuple(lines)

    def __repr__(self) -> str:
        return "\n".join(("Graph", *self.lines))


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
        possible = [name for name, step in _STEPS.items() if step.takes(growth, value, partner)]
        name = growth.pick(*possible)
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


_STEPS: dict[str, _Kind] = {
    "clamp": _Kind(takes.anything, steps.clamp),
    "conv": _Kind(takes.feature_map, steps.convolution),
    "depthwise": _Kind(takes.feature_map, steps.depthwise_convolution),
    "dense": _Kind(takes.anything, steps.dense),
    "arithmetic": _Kind(takes.broadcasts, steps.arithmetic, joins=True),
    "with-constant": _Kind(takes.anything, steps.with_constant),
    "with-input": _Kind(takes.anything, steps.with_input),
    "extreme": _Kind(takes.anything, steps.extreme),
    "pool": _Kind(takes.feature_map, steps.pooling),
    "requantise": _Kind(takes.unrequantised, steps.requantisation),
    "sigmoid": _Kind(takes.tabulated, steps.sigmoid),
    "softmax": _Kind(takes.classes, steps.softmaxes),
    "leaky": _Kind(takes.unturned, steps.leaky),
    "prelu": _Kind(takes.int8_map, steps.prelus),
    "swish": _Kind(takes.unturned_int8, steps.swish),
    "concatenate": _Kind(takes.joinable, steps.concatenation, joins=True),
    "split": _Kind(takes.divisible, steps.splitting),
    "slice": _Kind(takes.anything, steps.slicing),
    "strided-slice": _Kind(takes.feature_map, steps.striding),
    "pad": _Kind(takes.placeable_map, steps.padding),
    "mean": _Kind(takes.feature_map, steps.mean_of),
    "reduce-max": _Kind(takes.whole_int8_map, steps.maximum),
    "transpose": _Kind(takes.feature_map, steps.transposition),
    "reshape": _Kind(takes.feature_map, steps.reshaping),
    "resize": _Kind(takes.small_map, steps.resizing),
    "transpose-conv": _Kind(takes.whole_map, steps.transposed_convolution),
}
