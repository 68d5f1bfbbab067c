"""The `[workloads]` of `bench.toml`: what is measured, in which variants, within which limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from bench.core.address import parse_address
from bench.core.schema import StrictModel
from bench.plan.config.trained import FrozenModel, TrainedWorkload
from bench.plan.config.workload_base import (
    BASE_VARIANT,
    Binding,
    CustomMetric,
    Seed,
    WorkloadBase,
    check_name,
)
from bench.tflite.compression.points import Spacing

__all__ = [
    "BASE_VARIANT",
    "Binding",
    "CustomMetric",
    "FrozenModel",
    "ModelFileWorkload",
    "TrainedWorkload",
    "WhatIfSpec",
    "Workload",
    "check_name",
]


class WhatIfSpec(StrictModel):
    """The stored weights of the model, compressed without training; see docs/whatif.md."""

    method: Literal["what_if"]
    #: Share of a layer's weights that are zero.
    sparsity: float | None = Field(default=None, gt=0, lt=1)
    #: How many different weights there are at most.
    clusters: int | None = Field(default=None, ge=2, le=256)
    #: Names of layers, or patterns with `*`; by default all but depthwise layers and a first
    #: convolution.
    layers: tuple[str, ...] = ()
    spacing: Spacing = Spacing.LINEAR
    per_channel: bool = False

    @model_validator(mode="after")
    def _does_something(self) -> WhatIfSpec:
        if self.sparsity is None and self.clusters is None:
            raise ValueError("give sparsity, clusters, or both")
        return self


class ModelFileWorkload(WorkloadBase):
    """Bring your own: a quantised `.tflite` from a file or an address."""

    model_config = ConfigDict(populate_by_name=True)

    #: Path of the model, relative to the configuration file.
    model: Path | None = None
    #: Address of the model, downloaded once and checked against `sha256`. It may hold credentials
    #: and is printed nowhere; see `bench.core.address.shown`.
    url: str | None = Field(default=None, repr=False)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    #: `.npz` with `inputs` and optionally `labels`; without it random inputs are used.
    dataset: Path | None = None
    #: The same model with its stored weights compressed, by name; `base` is the model as it is.
    compressed: dict[str, WhatIfSpec] = Field(default_factory=dict, alias="variants")
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

    @model_validator(mode="after")
    def _variants_have_names(self) -> ModelFileWorkload:
        for name in self.compressed:
            check_name("variant", name)
            if name == BASE_VARIANT:
                raise ValueError(f"variants.{BASE_VARIANT} is the model as it is")
        return self

    @property
    def variants(self) -> dict[str, WhatIfSpec | None]:
        """Its variants by name; `base` is the model as it is."""
        return {BASE_VARIANT: None, **self.compressed}

    @property
    def order(self) -> tuple[str, ...]:
        """The compressed variants of a file have no order."""
        return ()

    @property
    def order_tolerance(self) -> float:
        """No tolerance without an order."""
        return 0.0


#: Keys that only a workload with training has.
_TRAINED = frozenset({"recipe", "keras"})


def _workload_kind(value: Any) -> str:
    if isinstance(value, TrainedWorkload):
        return "trained"
    return "trained" if isinstance(value, dict) and not _TRAINED.isdisjoint(value) else "file"


Workload = Annotated[
    Annotated[TrainedWorkload, Tag("trained")] | Annotated[ModelFileWorkload, Tag("file")],
    Discriminator(_workload_kind),
]
