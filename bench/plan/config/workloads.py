"""The `[workloads]` of `bench.toml`: what is measured, in which variants, within which limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from bench.core.address import parse_address
from bench.plan.config.trained import FrozenModel, TrainedWorkload
from bench.plan.config.workload_base import (
    BASE_VARIANT,
    Binding,
    CustomMetric,
    Seed,
    WorkloadBase,
    check_name,
)
from models.spec import TrainSpec, VariantSpec

__all__ = [
    "BASE_VARIANT",
    "Binding",
    "CustomMetric",
    "FrozenModel",
    "ModelFileWorkload",
    "TrainedWorkload",
    "Workload",
    "check_name",
]


class ModelFileWorkload(WorkloadBase):
    """Bring your own: a quantised `.tflite` from a file or an address."""

    #: Path of the model, relative to the configuration file.
    model: Path | None = None
    #: Address of the model, downloaded once and checked against `sha256`. It may hold credentials
    #: and is printed nowhere; see `bench.core.address.shown`.
    url: str | None = Field(default=None, repr=False)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    #: `.npz` with `inputs` and optionally `labels`; without it random inputs are used.
    dataset: Path | None = None
    #: How many random inputs to run when there is no dataset.
    random_inputs: int = Field(default=20, ge=1, le=1_000_000)
    #: For a model that keeps state: each of them is a stream of this many steps.
    random_steps: int | None = Field(default=None, ge=1, le=100_000)
    seed: Seed = 0

    @model_validator(mode="after")
    def _names_one_source(self) -> ModelFileWorkload:
        if (self.model is None) == (self.url is None):
            raise ValueError("give the model's path as `model`, or its address as `url`: one")
        if self.url is not None and self.sha256 is None:
            raise ValueError("`url` needs `sha256`: a download is used only when it is checked")
        if self.url is not None:
            try:
                parse_address(self.url)
            except ValueError as error:
                raise ValueError(f"`url` {error}") from None
        return self

    @property
    def variants(self) -> dict[str, VariantSpec]:
        """A model file has one variant and no recipe."""
        return {BASE_VARIANT: TrainSpec(epochs=1)}

    @property
    def order(self) -> tuple[str, ...]:
        """One variant has no order."""
        return ()

    @property
    def order_tolerance(self) -> float:
        """No tolerance without an order."""
        return 0.0


#: Keys that only a workload with training has.
_TRAINED = frozenset({"recipe", "keras", "variants"})


def _workload_kind(value: Any) -> str:
    if isinstance(value, TrainedWorkload):
        return "trained"
    return "trained" if isinstance(value, dict) and not _TRAINED.isdisjoint(value) else "file"


Workload = Annotated[
    Annotated[TrainedWorkload, Tag("trained")] | Annotated[ModelFileWorkload, Tag("file")],
    Discriminator(_workload_kind),
]
