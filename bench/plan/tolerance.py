"""By how much outputs may differ from the reference interpreter's without being wrong.

Vela does not always ask for what TFLite-Micro computes; docs/simulator.md lists the operators, each
with the reason. The first difference is one quantisation step. The layers that follow carry it on.

A tolerance must not hide what Vela compiles wrongly, so no configuration can state a wide one.
The bounds below are measured (docs/decisions/0026-tolerances.md): networks with listed operators
stayed within them, and every known wrong compilation, in the middle of a network of its own, did
not. An output of 8 bits allows hardly anything: there, a wrong layer whose share in the result is
small looks like a rounding difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["WIDEST", "WIDEST_BY_DTYPE", "Tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """What one output may deviate by."""

    #: Quantisation steps, of each element.
    steps: int
    #: Share of the output's elements that may differ at all, 0..1.
    share: float

    def holds(self, largest: int, mismatches: int, elements: int) -> bool:
        """Whether `mismatches` of `elements`, by at most `largest` steps, are within it."""
        return largest <= self.steps and mismatches <= self.share * elements

    def within(self, other: Tolerance) -> Tolerance:
        """The stricter of both, in steps and in share."""
        return Tolerance(min(self.steps, other.steps), min(self.share, other.share))


#: The widest tolerance of an output, by its type. Others, such as the class that ARG_MAX gives,
#: have no steps: they are equal or wrong.
WIDEST_BY_DTYPE: Mapping[str, Tolerance] = {
    "int8": Tolerance(1, 0.004),
    "uint8": Tolerance(1, 0.004),
    "int16": Tolerance(8, 0.1),
}

#: The widest of any type.
WIDEST = Tolerance(
    max(one.steps for one in WIDEST_BY_DTYPE.values()),
    max(one.share for one in WIDEST_BY_DTYPE.values()),
)
