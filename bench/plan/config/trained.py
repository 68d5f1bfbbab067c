"""Workloads whose variants the bench makes: from a recipe, or from a Keras model and its data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from bench.core.schema import StrictModel, suggest
from bench.plan.config.workload_base import BASE_VARIANT, Seed, WorkloadBase, check_name
from models.lineage import check_parent
from models.reading.origin import Options
from models.recipes import BUILT_IN, FOR_USERS_DATA, OF_MNIST
from models.spec import ClusterSpec, PruneSpec, QuantiseSpec, TrainSpec, VariantSpec

__all__ = ["FrozenModel", "TrainedWorkload"]

#: A recipe is compared with that of the same variant only, so few digits tell them apart.
_RECIPE_DIGITS = 12


class FrozenModel(StrictModel):
    """The quantised model of a variant, kept as a file: it is measured, and not made again."""

    #: Relative to the configuration file.
    model: Path
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    #: `TrainedWorkload.recipe_sha256` when it was made; empty for a model that was not made here.
    recipe: str = Field(default="", pattern=rf"^([0-9a-f]{{{_RECIPE_DIGITS}}})?$")


def _study(*, trained: bool) -> dict[str, VariantSpec]:
    """The variants of Arm's study, for a workload that names none.

    A Keras model that is `trained` is not trained again.
    """
    return {
        BASE_VARIANT: TrainSpec(epochs=0) if trained else TrainSpec(),
        "pruned": PruneSpec(),
        "clustered": ClusterSpec(),
        "pruned_clustered": ClusterSpec(parent="pruned", preserve_sparsity=True),
    }


class TrainedWorkload(WorkloadBase):
    """A workload whose variants the bench makes; see docs/recipes.md."""

    #: A built-in recipe's name, or a Python file, relative to the configuration file.
    recipe: str = ""
    #: A Keras model, trained or not: `.keras`, `.h5`, or a SavedModel's directory.
    keras: Path | None = None
    #: Its data, an `.npz`: `train_inputs`, `train_labels`, `test_inputs`, `test_labels`, and maybe
    #: `calibration_inputs`.
    data: Path | None = None
    #: Given to the recipe's functions that take them.
    options: Options = Field(default_factory=dict)
    seed: Seed = 0
    quantise: QuantiseSpec = QuantiseSpec()
    variants: dict[str, VariantSpec] = Field(default_factory=dict)
    #: Variants that are files; `bench freeze` writes this.
    frozen: dict[str, FrozenModel] = Field(default_factory=dict)
    #: Variants from smallest to largest: encoded size and cycles must not fall along it.
    order: tuple[str, ...] = ()
    #: Fraction by which a figure may be below the previous one and still count as equal.
    order_tolerance: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _study_if_no_variants(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.get("variants"):
            return value | {"variants": _study(trained="recipe" not in value)}
        return value

    @model_validator(mode="after")
    def _has_a_network_and_data(self) -> TrainedWorkload:
        if not self.recipe and (self.keras is None or self.data is None):
            raise ValueError(
                "needs `recipe`, a Python file; or `keras`, a model, and `data`, an archive for it"
            )
        if self.recipe and not self.is_file and self.recipe not in BUILT_IN:
            raise ValueError(
                f"recipe: {self.recipe!r} is neither a Python file (.py) nor a built-in recipe; "
                f"{suggest(self.recipe, list(BUILT_IN))}"
            )
        if self.recipe and not self.is_file:
            self._check_built_in()
        return self

    def _check_built_in(self) -> None:
        if self.keras:
            raise ValueError(f"keras: the recipe {self.recipe!r} has a network of its own")
        if self.data and self.recipe not in FOR_USERS_DATA:
            raise ValueError(f"data: the recipe {self.recipe!r} has data of its own")
        if not self.data and self.recipe in FOR_USERS_DATA:
            raise ValueError(
                f"data: the recipe {self.recipe!r} is a network alone, so it needs your data, an "
                "archive (.npz) of train_inputs, train_labels, test_inputs, test_labels"
            )

    @property
    def is_file(self) -> bool:
        """Whether the recipe is a file of the user's."""
        return self.recipe.endswith(".py")

    @property
    def is_users(self) -> bool:
        """Whether its network or its data comes from files of the user's."""
        return self.is_file or self.keras is not None or self.data is not None

    @property
    def is_of_mnist(self) -> bool:
        """Whether its data is the MNIST that the configuration chooses."""
        return self.recipe in OF_MNIST

    @property
    def origin_name(self) -> str:
        """What records call it: the built-in recipe, or the name of the file."""
        if self.recipe:
            return Path(self.recipe).name
        assert self.keras is not None
        return self.keras.name

    @model_validator(mode="after")
    def _variants_fit(self) -> TrainedWorkload:
        base = self.variants.get(BASE_VARIANT)
        if not isinstance(base, TrainSpec):
            raise ValueError(
                f'variants: {BASE_VARIANT!r} with method = "train" is needed (epochs = 0 takes the '
                "model as it is): the others are made from it and compared with it"
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
            "architecture": self.origin_name,
            **({"options": self.options} if self.options else {}),
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
