"""The points of a what-if: how many weights are zero, and how many values the others have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product

__all__ = ["UNCHANGED", "Clustering", "Point", "Spacing", "points_of"]


#: What the model as it is is called, as a variant.
_UNCHANGED = "base"


class Spacing(str, Enum):
    """How the values that weights share are chosen; see `bench.tflite.compression.values`."""

    #: Evenly, as training with tfmot's linear initialisation leaves them.
    LINEAR = "linear"
    #: So that the weights change least.
    KMEANS = "kmeans"


@dataclass(frozen=True)
class Clustering:
    """How weights are clustered at every point."""

    spacing: Spacing = Spacing.LINEAR
    #: Whether each output channel has values of its own.
    per_channel: bool = False


@dataclass(frozen=True)
class Point:
    """What is done to the weights of every chosen layer. Hashable."""

    #: Share of a layer's weights that are zero, 0..1; None: left as it is.
    sparsity: float | None = None
    #: How many different weights there are at most, zero among them; None: as many as there are.
    clusters: int | None = None

    @property
    def slug(self) -> str:
        """Its name as a variant: `p80`, `c32`, `p80_c32`; `base` for the model as it is."""
        parts = []
        if self.sparsity is not None:
            parts.append(f"p{100 * self.sparsity:g}".replace(".", "_"))
        if self.clusters is not None:
            parts.append(f"c{self.clusters}")
        return "_".join(parts) or _UNCHANGED

    @property
    def words(self) -> str:
        """For people: `80 % zero, 32 values`."""
        parts = []
        if self.sparsity is not None:
            parts.append(f"{100 * self.sparsity:g} % zero")
        if self.clusters is not None:
            parts.append(f"{self.clusters} values")
        return ", ".join(parts) or "as it is"


#: The model as it is.
UNCHANGED = Point()


def points_of(
    sparsities: Sequence[float], clusters: Sequence[int], *, combined: bool
) -> tuple[Point, ...]:
    """The model as it is, then each sparsity, each number of clusters, and with `combined` both.

    In rising order of compression; what is given twice counts once.
    """
    zeros, values = sorted(set(sparsities)), sorted(set(clusters), reverse=True)
    both = product(zeros, values) if combined else ()
    return (
        UNCHANGED,
        *(Point(sparsity=share) for share in zeros),
        *(Point(clusters=number) for number in values),
        *(Point(sparsity=share, clusters=number) for share, number in both),
    )
