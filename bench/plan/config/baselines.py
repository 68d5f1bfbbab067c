"""Accepted figures and how far from them a figure may be: the table `[baselines]`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from pydantic import Field, model_validator

from bench.core.schema import StrictModel
from bench.plan.metrics import MetricName

__all__ = ["DEFAULT_TOLERANCES", "OWN", "BaselineConfig", "ToleranceRule", "Widths"]


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
#: repeat its counts. What is not here (counts of elements, operators and MACs) is compared exactly.
#:
#: Relative widths: eight seeds of the default grid's variants at 128 MACs, in Shared_Sram if
#: nothing else is said, measured by `bench calibrate` (docs/baselines.md has the table). Beside
#: each is the standard deviation of the network that varies more, and the tolerance that 1 false
#: alarm in 1,000 comparisons needs. Absolute widths are floors for small networks, each with its
#: own reason.
DEFAULT_TOLERANCES: Final = MappingProxyType(
    {
        # 0.0029 of 1,000 test images; 0.016.
        MetricName.ACCURACY: Widths(absolute=0.016),
        # 1.0 %; 5.8 %. A stream is padded to 16 bytes: 0.25 KiB are 16 such steps.
        MetricName.ENCODED_WEIGHTS: Widths(relative=0.06, absolute=0.25),
        # The same, over a constant: 0.25 KiB of a network with 50 KiB of weights.
        MetricName.ENCODING_RATIO: Widths(relative=0.06, absolute=0.005),
        # 0.69 %; 4.5 %. It holds the streams.
        MetricName.DEVICE_MODEL: Widths(relative=0.05, absolute=0.25),
        # 0.075 % in Shared_Sram. In Sram_Only it holds the constants: 0.74 %; 4.8 %.
        MetricName.SRAM: Widths(relative=0.05, absolute=0.25),
        # 0.69 %; 4.0 %. It holds the streams.
        MetricName.FLASH: Widths(relative=0.04, absolute=0.25),
        # 0.71 %; 4.5 %. Equal networks were 251 cycles apart, by how streams fall into bursts.
        MetricName.NPU_CYCLES: Widths(relative=0.05, absolute=300),
        # The same at 500 MHz.
        MetricName.INFERENCE_MS: Widths(relative=0.05, absolute=0.0006),
        # Not measured: sim does not count it. As for the other share of time.
        MetricName.ACTIVE_SHARE: Widths(absolute=0.025),
        # 0.0035; 0.022.
        MetricName.MEMORY_WAIT: Widths(absolute=0.025),
        # 0.22 %, 0.10 % and 0.71 %; 1.4 %, 0.66 % and 4.6 %. In Sram_Only the weights come through
        # AXI0, of which 0.66 % and 4.2 % are known, and the others stood still. 64 beats of 8 bytes
        # are 32 steps of a stream.
        MetricName.AXI0_READ: Widths(relative=0.05, absolute=64),
        MetricName.AXI0_WRITE: Widths(relative=0.02, absolute=64),
        MetricName.AXI1_READ: Widths(relative=0.05, absolute=64),
    }
)
_EXACT = Widths()
#: What states a tolerance that no configuration does.
OWN: Final = "the bench's own tolerance"


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
        return DEFAULT_TOLERANCES.get(metric, _EXACT), OWN
