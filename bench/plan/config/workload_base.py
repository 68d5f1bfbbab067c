"""What every workload may state, whatever the origin of its model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from bench.core.schema import StrictModel, suggest
from bench.plan.cell import NAME_PATTERN
from bench.plan.config.limits import LimitRule
from bench.plan.metrics import AccuracyMetric
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = ["BASE_VARIANT", "Binding", "CustomMetric", "Seed", "WorkloadBase", "check_name"]

#: The variant to which drops and ratios are relative.
BASE_VARIANT = "base"

#: What limits a network over the MAC sweep; see `bench.judging.sweep`.
Binding = Literal["compute", "memory", "overhead"]


#: The seeds that every generator of random numbers takes: 32 bits, unsigned.
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]


def check_name(what: str, name: str) -> None:
    """Raise ValueError if `name`, of a `what`, cannot be part of a cell id."""
    if not NAME_PATTERN.fullmatch(name):
        raise ValueError(
            f"{what} {name!r}: a name becomes part of cell ids and file names; "
            "use lower-case letters, digits and underscores, beginning with a letter"
        )


class CustomMetric(StrictModel):
    """A user's function that scores outputs; see `bench.measuring.scoring.custom_metric`."""

    #: Relative to the configuration file.
    file: Path
    function: str = Field(pattern=r"^[A-Za-z_]\w*$")

    @property
    def name(self) -> str:
        """Its name in records and reports: `metrics.py:within_one`."""
        return f"{self.file.name}:{self.function}"


class WorkloadBase(StrictModel):
    """What every workload may state, whatever the origin of its model."""

    title: str = ""
    limits: tuple[LimitRule, ...] = ()
    #: Expected outcome of the MAC sweep for each memory mode.
    expect_bound: dict[MemoryMode, Binding] = Field(default_factory=dict)
    #: A metric of the bench's, or a function of the user's: `metrics.py:within_one`.
    metric: AccuracyMetric | CustomMetric = AccuracyMetric.TOP1
    #: The output that the labels belong to, by name; needed if they fit several.
    output: str | None = None
    #: Share of the dataset's values, 0..1, that may be outside the range of the model's inputs.
    #: More means that the data is scaled differently from what the model needs.
    max_saturated: float = Field(default=0.25, ge=0, le=1)

    @field_validator("metric", mode="before")
    @classmethod
    def _function_in_a_file(cls, value: Any) -> Any:
        if isinstance(value, str) and ".py:" in value:
            file, _, function = value.rpartition(":")
            return {"file": file, "function": function}
        if isinstance(value, str) and value not in set(AccuracyMetric):
            known = [metric.value for metric in AccuracyMetric]
            raise ValueError(
                f"unknown metric {value!r}; {suggest(value, known)}, or a function of yours as "
                "'file.py:function'"
            )
        return value
