"""Accepted figures and how far from them a figure may be: the table `[baselines]`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from pydantic import Field, model_validator

from bench.core.schema import StrictModel
from bench.plan.metrics import MetricName

__all__ = ["DEFAULT_TOLERANCES", "BaselineConfig", "ToleranceRule", "Widths"]


class Widths(StrictModel):
    """A change counts if it exceeds both: small figures need the one, large ones the other."""

    #: Share of the accepted figure.
    relative: float = Field(default=0.0, ge=0)
    #: In the metric's unit.
    absolute: float = Field(default=0.0, ge=0)

    def exceeded(self, before: float, after: float) -> bool:
        """Whether the change from `before` to `after` counts."""
        return self.floor(before) < abs(after - before)

    def floor(self, before: float) -> float:
        """The largest change of `before` that does not count, in the metric's unit."""
        return max(self.absolute, self.relative * abs(before))


class ToleranceRule(Widths):
    """A tolerance for the metrics and cells that it names; no name = every one."""

    metrics: tuple[MetricName, ...] | None = None
    #: Patterns of cell ids with `*`, `?` and `[...]`.
    cells: tuple[str, ...] | None = None
    #: What it was derived from; `bench calibrate` writes this.
    evidence: str = ""

    @model_validator(mode="after")
    def _states_a_width(self) -> ToleranceRule:
        if not self.model_fields_set & {"relative", "absolute"}:
            raise ValueError("states no tolerance: give relative, absolute or both")
        return self

    def matches(self, metric: MetricName, cell_id: str) -> bool:
        """Whether it is for this figure."""
        return (self.metrics is None or metric in self.metrics) and (
            self.cells is None or any(fnmatchcase(cell_id, pattern) for pattern in self.cells)
        )


#: Where nothing is calibrated: for a model that was trained again, or a target that does not
#: repeat its counts. docs/baselines.md has the measurements behind them. What is not here (counts
#: of elements, operators and MACs) is compared exactly.
DEFAULT_TOLERANCES: Final = MappingProxyType(
    {
        MetricName.ACCURACY: Widths(absolute=0.01),
        MetricName.ENCODED_WEIGHTS: Widths(relative=0.03, absolute=0.25),
        MetricName.ENCODING_RATIO: Widths(relative=0.03, absolute=0.005),
        MetricName.DEVICE_MODEL: Widths(relative=0.03, absolute=0.25),
        MetricName.SRAM: Widths(relative=0.03, absolute=0.25),
        MetricName.FLASH: Widths(relative=0.03, absolute=0.25),
        MetricName.NPU_CYCLES: Widths(relative=0.03, absolute=200),
        MetricName.INFERENCE_MS: Widths(relative=0.03, absolute=0.0004),
        MetricName.ACTIVE_SHARE: Widths(absolute=0.02),
        MetricName.MEMORY_WAIT: Widths(absolute=0.02),
        MetricName.AXI0_READ: Widths(relative=0.03, absolute=64),
        MetricName.AXI0_WRITE: Widths(relative=0.03, absolute=64),
        MetricName.AXI1_READ: Widths(relative=0.03, absolute=64),
    }
)
_EXACT = Widths()


class BaselineConfig(StrictModel):
    """Where accepted figures are kept, and what counts as a change."""

    #: Relative to the configuration file.
    directory: Path = Path("baselines")
    #: Whether an improvement that nobody has accepted fails. It hides the next regression: a figure
    #: that first falls by a tenth may then rise by as much.
    improvement: Literal["report", "fail"] = "report"
    #: The last that matches a figure is its tolerance.
    tolerances: tuple[ToleranceRule, ...] = ()

    def beside(self, config_path: Path) -> Path:
        """Where the accepted figures of the configuration at `config_path` are."""
        return config_path.resolve().parent / self.directory

    def widths(self, metric: MetricName, cell_id: str) -> tuple[Widths, str]:
        """The tolerance of a figure, and what states it."""
        for i in reversed(range(len(self.tolerances))):
            if self.tolerances[i].matches(metric, cell_id):
                return self.tolerances[i], f"baselines.tolerances[{i}]"
        return DEFAULT_TOLERANCES.get(metric, _EXACT), "the bench's own tolerance"
