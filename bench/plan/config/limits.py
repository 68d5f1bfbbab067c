"""The limits of a workload: bounds on one figure, for the cells that the filters match."""

from __future__ import annotations

from pydantic import Field, model_validator

from bench.core.schema import StrictModel
from bench.plan.metrics import MetricName
from bench.plan.tolerance import WIDEST, Tolerance
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = ["LimitRule"]

_MISMATCHES = MetricName.REFERENCE.value


class LimitRule(StrictModel):
    """One limit on one metric, for the cells its filters match (no filter = every cell)."""

    metric: MetricName
    variants: tuple[str, ...] | None = None
    macs: tuple[Accelerator, ...] | None = None
    memory_modes: tuple[MemoryMode, ...] | None = None
    #: Absolute bounds, in the metric's unit.
    min: float | None = None
    max: float | None = None
    #: The figure may be at most this much below that of `base` in an otherwise equal cell.
    max_drop_from_base: float | None = Field(default=None, ge=0)
    #: The figure may be at most this many times that of `base` in an otherwise equal cell.
    max_ratio_to_base: float | None = Field(default=None, gt=0)
    #: For `reference_mismatches`: by how many quantisation steps an element may differ.
    max_steps: int | None = Field(default=None, ge=1, le=WIDEST.steps)
    #: For `reference_mismatches`: which share of an output's elements may differ, 0..1.
    max_share: float | None = Field(default=None, gt=0, le=WIDEST.share)
    #: Why a correct NPU differs there; verdicts repeat it.
    reason: str | None = Field(default=None, min_length=1)

    @property
    def tolerance(self) -> Tolerance | None:
        """What a limit on `reference_mismatches` tolerates, if it does."""
        if self.max_steps is None or self.max_share is None:
            return None
        return Tolerance(self.max_steps, self.max_share)

    @model_validator(mode="after")
    def _states_a_bound(self) -> LimitRule:
        parts = (self.max_steps, self.max_share, self.reason)
        if self.metric is MetricName.REFERENCE:
            self._states_a_tolerance(parts)
        elif any(part is not None for part in parts):
            raise ValueError(f"max_steps, max_share and reason are for {_MISMATCHES} only")
        bounds = (self.min, self.max, self.max_drop_from_base, self.max_ratio_to_base)
        if all(bound is None for bound in (*bounds, self.tolerance)):
            raise ValueError(
                "states no bound: give min, max, max_drop_from_base or max_ratio_to_base"
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    def _states_a_tolerance(self, parts: tuple[object, ...]) -> None:
        """Raise ValueError for bounds that would pass wrong results, however wrong."""
        counted = (self.min, self.max_drop_from_base, self.max_ratio_to_base)
        if any(bound is not None for bound in counted) or self.max not in (None, 0):
            raise ValueError(
                f"a number of {_MISMATCHES} says nothing of how wrong they are: it can only be "
                "`max = 0`; to tolerate a known deviation, give max_steps, max_share and reason"
            )
        if any(part is not None for part in parts) and not all(part is not None for part in parts):
            raise ValueError("a tolerance needs max_steps, max_share and reason, all three")
        if self.max is not None and self.max_steps is not None:
            raise ValueError("`max = 0` tolerates nothing, max_steps and max_share do: give one")
        if isinstance(self.reason, str) and not self.reason.strip():
            raise ValueError("reason is empty: say which operator differs, and why")
