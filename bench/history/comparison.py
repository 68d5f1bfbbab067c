"""The result of a comparison, as data: what `bench compare --format json` prints.

`bench schema comparison` prints the JSON Schema of it.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from pydantic import Field

from bench.core.schema import RecordModel
from bench.plan.metrics import MetricName
from bench.records.layers import LayerSummary
from bench.records.provenance import Stage

__all__ = [
    "CauseGroup",
    "CellComparison",
    "CellOutcome",
    "Comparison",
    "FigureComparison",
    "FigureOutcome",
    "FirstDifference",
    "Floors",
    "LayerComparison",
    "LayerFigures",
    "OutputComparison",
    "OutputOutcome",
    "SideName",
    "Totals",
    "VelaLayerComparison",
]


class FigureOutcome(str, Enum):
    """How a figure of B stands to that of A."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    #: Equal, or within the floors.
    UNCHANGED = "unchanged"
    #: A has it, B does not.
    LOST = "lost"
    #: B has it, A does not.
    GAINED = "gained"
    #: Both have it, but the two mean different things.
    INCOMPARABLE = "incomparable"
    #: Neither has it.
    ABSENT = "absent"


class CellOutcome(str, Enum):
    """How a cell of B stands to that of A, by its worst figure."""

    REGRESSED = "regressed"
    #: No figure is known to be worse, but some cannot be compared.
    NOT_JUDGED = "not_judged"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"


class OutputOutcome(str, Enum):
    """Whether a cell gave the same outputs on both sides."""

    SAME = "same"
    DIFFERENT = "different"
    #: One side has none.
    UNKNOWN = "unknown"


class Floors(RecordModel):
    """What a difference must exceed to count: both floors. 0: every difference counts."""

    #: Share of A's figure.
    relative: float = Field(default=0.0, ge=0)
    #: In the metric's unit.
    absolute: dict[MetricName, float] = Field(default_factory=dict)


class FigureComparison(RecordModel):
    """A metric of a cell on both sides."""

    metric: MetricName
    unit: str
    outcome: FigureOutcome
    #: None where there is no figure.
    a: float | None = None
    b: float | None = None
    #: `b - a`, and its share of `a`; None where there is none.
    difference: float | None = None
    relative: float | None = None
    #: Why a figure is missing, or why the two cannot be compared.
    reason: str = ""


class LayerFigures(RecordModel):
    """What a side knows of a layer."""

    summary: LayerSummary
    #: Cycles in which its weights are decoded; None where nobody says.
    weight_decode: int | None = None


class LayerComparison(RecordModel):
    """A layer that is not the same on both sides; None where it does not exist."""

    name: str
    a: LayerFigures | None = None
    b: LayerFigures | None = None

    @property
    def difference(self) -> int:
        """Cycles of B less those of A."""
        before = 0 if self.a is None else self.a.summary.cycles
        after = 0 if self.b is None else self.b.summary.cycles
        return after - before


class VelaLayerComparison(RecordModel):
    """Vela's estimate of a layer's cycles, where they differ; None where the layer is not there."""

    name: str
    a: int | None = None
    b: int | None = None


class FirstDifference(RecordModel):
    """The first layer that gives something else on B than on A, for the same input."""

    #: Its name; empty if the models' own inputs differ already.
    layer: str
    #: The operation of the command stream on B; empty if several of them were put together.
    operation: str = ""
    #: Index of the input, or the stream, in A's test set; and the step of a stream.
    input: int
    step: int | None = None
    #: Elements of the layer's output that were compared and that differ; 0 where shapes differ.
    elements: int = 0
    mismatches: int = 0
    #: The largest difference, in quantisation steps.
    largest: int = 0
    #: What else to say: other shapes or types.
    remark: str = ""
    #: How many layers before it gave the same.
    same_before: int = 0
    #: Layers before it that exist on one side only or were cut differently.
    not_compared: tuple[str, ...] = ()


class OutputComparison(RecordModel):
    """The outputs of a cell on both sides."""

    outcome: OutputOutcome
    first: FirstDifference | None = None
    #: Why the first layer that differs is not known, and what to do; empty if it is.
    reason: str = ""


class CellComparison(RecordModel):
    """A cell that both sides have."""

    id: str
    outcome: CellOutcome
    figures: tuple[FigureComparison, ...]
    #: The first stage in which what the cell was made from differs; None if nothing known does.
    stage: Stage | None = None
    #: The same in words, with the facts that differ.
    cause: str = ""
    #: The layers that differ, in A's order and then B's; those of the target, or else of Vela.
    layers: tuple[LayerComparison, ...] = ()
    vela_layers: tuple[VelaLayerComparison, ...] = ()
    outputs: OutputComparison
    #: Why a side has no figures of it.
    unmeasured: str = ""

    def of(self, *outcomes: FigureOutcome) -> tuple[FigureComparison, ...]:
        """Its figures with these outcomes."""
        return tuple(figure for figure in self.figures if figure.outcome in outcomes)

    @property
    def lost(self) -> bool:
        """Whether A has a figure that B lacks or that means something else there."""
        return bool(self.of(FigureOutcome.LOST, FigureOutcome.INCOMPARABLE))


class CauseGroup(RecordModel):
    """Changed cells with the same first cause."""

    #: None: nothing known differs.
    stage: Stage | None
    cause: str
    cells: tuple[str, ...]


class Totals(RecordModel):
    """How many cells came out how; each is counted once."""

    cells: int
    regressed: int
    improved: int
    unchanged: int
    not_judged: int
    only_in_a: int
    only_in_b: int


class SideName(RecordModel):
    """A side, for people."""

    name: str
    origin: str = ""
    cells: int
    #: Files of it that cannot be read, and why.
    unreadable: tuple[str, ...] = ()


class Comparison(RecordModel):
    """A against B, cell by cell."""

    schema_version: Literal[1] = 1
    a: SideName
    b: SideName
    floors: Floors
    totals: Totals
    #: The most frequent first.
    causes: tuple[CauseGroup, ...]
    #: In A's order.
    cells: tuple[CellComparison, ...]
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing became worse, and everything that A has was compared."""
        return not (
            self.totals.regressed or self.only_in_a or any(cell.lost for cell in self.cells)
        )
