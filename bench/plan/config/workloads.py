"""The `[workloads]` of `bench.toml`: what is measured, in which variants, within which limits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from bench.core.address import parse_address
from bench.core.schema import StrictModel, suggest
from bench.plan.cell import NAME_PATTERN
from bench.plan.config.limits import LimitRule
from bench.plan.metrics import AccuracyMetric
from models.lineage import check_parent
from models.spec import QuantiseSpec, TrainSpec, VariantSpec
from targets.ethos_u55.memory_modes import MemoryMode

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

#: The variant to which drops and ratios are relative.
BASE_VARIANT = "base"

#: What limits a network over the MAC sweep; see `bench.judging.sweep`.
Binding = Literal["compute", "memory", "overhead"]


#: A recipe is compared with that of the same variant only, so few digits tell them apart.
_RECIPE_DIGITS = 12

#: The seeds that every generator of random numbers takes: 32 bits, unsigned.
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]


def check_name(what: str, name: str) -> None:
    """Raise ValueError if `name`, of a `what`, cannot be part of a cell id."""
    if not NAME_PATTERN.fullmatch(name):
        raise ValueError(
            f"{what} {name!r}: a name becomes part of cell ids and file names; "
            "use lower-case letters, digits and underscores, beginning with a letter"
        )


class _WorkloadBase(StrictModel):
    """What every workload may state, whatever the origin of its model."""

    title: str = ""
    limits: tuple[LimitRule, ...] = ()
    #: Expected outcome of the MAC sweep for each memory mode.
    expect_bound: dict[MemoryMode, Binding] = Field(default_factory=dict)


class FrozenModel(StrictModel):
    """The quantised model of a variant, kept as a file: it is measured, and not made again."""

    #: Relative to the configuration file.
    model: Path
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    #: `TrainedWorkload.recipe_sha256` when it was made; empty for a model that was not made here.
    recipe: str = Field(default="", pattern=rf"^([0-9a-f]{{{_RECIPE_DIGITS}}})?$")


class TrainedWorkload(_WorkloadBase):
    """A workload whose variants the project trains itself (see `models.registry`)."""

    architecture: str
    seed: Seed = 0
    quantise: QuantiseSpec = QuantiseSpec()
    variants: dict[str, VariantSpec]
    #: Variants that are files; `bench freeze` writes this.
    frozen: dict[str, FrozenModel] = Field(default_factory=dict)
    #: Variants from smallest to largest: encoded size and cycles must not fall along it.
    order: tuple[str, ...] = ()
    #: Fraction by which a figure may be below the previous one and still count as equal.
    order_tolerance: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("architecture")
    @classmethod
    def _architecture_exists(cls, value: str) -> str:
        from models.registry import ARCHITECTURES

        if value not in ARCHITECTURES:
            raise ValueError(
                f"unknown architecture {value!r}; {suggest(value, list(ARCHITECTURES))}"
            )
        return value

    @model_validator(mode="after")
    def _variants_fit(self) -> TrainedWorkload:
        base = self.variants.get(BASE_VARIANT)
        if not isinstance(base, TrainSpec):
            raise ValueError(
                f'variants: {BASE_VARIANT!r} with method = "train" is needed: '
                "the others are made from it and compared with it"
            )
        for name, spec in self.variants.items():
            check_name("variant", name)
            self._check_parents(name, spec)
            self._check_is_made_from_parent(name, spec)
        for key, names in (("order", self.order), ("frozen", self.frozen)):
            for name in names:
                if name not in self.variants:
                    known = suggest(name, list(self.variants))
                    raise ValueError(f"{key}: unknown variant {name!r}; {known}")
        return self

    def lineage(self, variant: str) -> tuple[str, ...]:
        """`variant`, the one that it is made from, and so on."""
        spec = self.variants[variant]
        before = () if isinstance(spec, TrainSpec) else self.lineage(spec.parent)
        return variant, *before

    def recipe_sha256(self, variant: str) -> str:
        """The beginning of the sha256 of everything stated here that decides how `variant` is made.

        What is left at its default is not in it, so a setting that later versions of the bench add
        does not change it.
        """
        recipe = {
            "architecture": self.architecture,
            "seed": self.seed,
            "quantise": self.quantise.model_dump(mode="json", exclude_defaults=True),
            "steps": [
                [spec.method, spec.model_dump(mode="json", exclude_defaults=True)]
                for spec in map(self.variants.__getitem__, self.lineage(variant))
            ],
        }
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
        return digest[:_RECIPE_DIGITS]

    def _check_is_made_from_parent(self, name: str, spec: VariantSpec) -> None:
        if isinstance(spec, TrainSpec):
            return
        lineage = [self.variants[ancestor] for ancestor in self.lineage(spec.parent)]
        try:
            check_parent(spec, spec.parent, lineage, self.quantise)
        except ValueError as error:
            raise ValueError(f"variants.{name}.{error}") from None

    def _check_parents(self, name: str, spec: VariantSpec) -> None:
        seen = [name]
        while not isinstance(spec, TrainSpec):
            parent = spec.parent
            if parent not in self.variants:
                raise ValueError(
                    f"variants.{seen[-1]}.parent: unknown variant {parent!r}; "
                    f"{suggest(parent, list(self.variants))}"
                )
            if parent in seen:
                raise ValueError(
                    f"variants.{name}.parent: goes round in a circle: "
                    f"{' <- '.join([*seen, parent])}"
                )
            seen.append(parent)
            spec = self.variants[parent]


class CustomMetric(StrictModel):
    """A user's function that scores outputs; see `bench.measuring.custom_metric`."""

    #: Relative to the configuration file.
    file: Path
    function: str = Field(pattern=r"^[A-Za-z_]\w*$")

    @property
    def name(self) -> str:
        """Its name in records and reports: `metrics.py:within_one`."""
        return f"{self.file.name}:{self.function}"


class ModelFileWorkload(_WorkloadBase):
    """Bring your own: a quantised `.tflite` from a file or an address."""

    #: Path of the model, relative to the configuration file.
    model: Path | None = None
    #: Address of the model, downloaded once and checked against `sha256`. It may hold credentials
    #: and is printed nowhere; see `bench.core.address.shown`.
    url: str | None = Field(default=None, repr=False)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    #: `.npz` with `inputs` and optionally `labels`; without it random inputs are used.
    dataset: Path | None = None
    #: A metric of the bench's, or a function of the user's: `metrics.py:within_one`.
    metric: AccuracyMetric | CustomMetric = AccuracyMetric.TOP1
    #: The output that the labels belong to, by name; needed if they fit several.
    output: str | None = None
    #: Share of the dataset's values, 0..1, that may be outside the range of the model's inputs.
    #: More means that the data is scaled differently from what the model needs.
    max_saturated: float = Field(default=0.25, ge=0, le=1)
    #: How many random inputs to run when there is no dataset.
    random_inputs: int = Field(default=20, ge=1, le=1_000_000)
    #: For a model that keeps state: each of them is a stream of this many steps.
    random_steps: int | None = Field(default=None, ge=1, le=100_000)
    seed: Seed = 0

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


def _workload_kind(value: Any) -> str:
    if isinstance(value, TrainedWorkload):
        return "trained"
    return "trained" if isinstance(value, dict) and "architecture" in value else "file"


Workload = Annotated[
    Annotated[TrainedWorkload, Tag("trained")] | Annotated[ModelFileWorkload, Tag("file")],
    Discriminator(_workload_kind),
]
