"""`bench.toml` as typed, frozen objects, and the errors a wrong one deserves.

`load_config` reads and checks the file; nothing here touches models, caches or targets. Every
error names the file, the key and the cure.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from bench.accuracy import Metric
from bench.cell import (
    DEFAULT_SYSTEM_CONFIG,
    DEFAULT_TIMING,
    NAME_PATTERN,
    Accelerator,
    Cell,
    MemoryMode,
)
from bench.errors import ConfigError
from bench.metrics import MetricName
from bench.schema import StrictModel, suggest
from models.spec import QuantiseSpec, TrainSpec, VariantSpec
from targets.simulator.timing.profiles import PROFILES, TimingProfile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "BASE_VARIANT",
    "BenchConfig",
    "Binding",
    "GridConfig",
    "LimitRule",
    "ModelFileWorkload",
    "ReferenceConfig",
    "SweepConfig",
    "TrainedWorkload",
    "VelaConfig",
    "Workload",
    "load_config",
    "parse_config",
    "timing_of",
]

#: The variant that drops and ratios are measured against.
BASE_VARIANT = "base"

#: What limits a network over the MAC sweep; see `bench.sweep`.
Binding = Literal["compute", "memory", "overhead"]


class LimitRule(StrictModel):
    """One limit on one metric, for the cells its filters match (no filter = every cell)."""

    metric: MetricName
    variants: tuple[str, ...] | None = None
    macs: tuple[Accelerator, ...] | None = None
    memory_modes: tuple[MemoryMode, ...] | None = None
    #: Absolute bounds, in the metric's unit.
    min: float | None = None
    max: float | None = None
    #: The figure may lie at most this much below that of `base` in an otherwise equal cell.
    max_drop_from_base: float | None = Field(default=None, ge=0)
    #: The figure may be at most this many times that of `base` in an otherwise equal cell.
    max_ratio_to_base: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _states_a_bound(self) -> LimitRule:
        bounds = (self.min, self.max, self.max_drop_from_base, self.max_ratio_to_base)
        if all(bound is None for bound in bounds):
            raise ValueError(
                "states no bound: give min, max, max_drop_from_base or max_ratio_to_base"
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class _WorkloadBase(StrictModel):
    """What every workload may state, wherever its model comes from."""

    title: str = ""
    limits: tuple[LimitRule, ...] = ()
    #: Expected outcome of the MAC sweep for each memory mode.
    expect_bound: dict[MemoryMode, Binding] = Field(default_factory=dict)


class TrainedWorkload(_WorkloadBase):
    """A workload whose variants the project trains itself (see `models.registry`)."""

    architecture: str
    seed: int = 0
    quantise: QuantiseSpec = QuantiseSpec()
    variants: dict[str, VariantSpec]
    #: Variants from smallest to largest: encoded size and cycles must not fall along it.
    order: tuple[str, ...] = ()
    #: Share of a figure by which it may fall short of the one before it and still count as equal.
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
            _check_name("variant", name)
            self._check_parents(name, spec)
        for name in self.order:
            if name not in self.variants:
                raise ValueError(
                    f"order: unknown variant {name!r}; {suggest(name, list(self.variants))}"
                )
        return self

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


class ModelFileWorkload(_WorkloadBase):
    """Bring your own: a quantised `.tflite` from a file or an address."""

    #: Path of the model, relative to the configuration file.
    model: Path | None = None
    #: Address of the model, downloaded once and checked against `sha256`.
    url: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    #: `.npz` with `inputs` and optionally `labels`; without it random inputs are used.
    dataset: Path | None = None
    metric: Metric = Metric.TOP1
    #: How many random inputs to run when there is no dataset.
    random_inputs: int = Field(default=20, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _names_one_source(self) -> ModelFileWorkload:
        if (self.model is None) == (self.url is None):
            raise ValueError("give the model's path as `model`, or its address as `url`: one")
        if self.url is not None and self.sha256 is None:
            raise ValueError("`url` needs `sha256`: a download is used only when it is checked")
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
        """And nothing to be tolerant about."""
        return 0.0


def _workload_kind(value: Any) -> str:
    if isinstance(value, TrainedWorkload):
        return "trained"
    return "trained" if isinstance(value, dict) and "architecture" in value else "file"


Workload = Annotated[
    Annotated[TrainedWorkload, Tag("trained")] | Annotated[ModelFileWorkload, Tag("file")],
    Discriminator(_workload_kind),
]


class GridConfig(StrictModel):
    """The axes of the grid. Every combination becomes a cell."""

    #: Empty = every workload of the file.
    workloads: tuple[str, ...] = ()
    #: Empty = every variant of each workload.
    variants: tuple[str, ...] = ()
    macs: tuple[Accelerator, ...] = tuple(Accelerator)
    memory_modes: tuple[MemoryMode, ...] = tuple(MemoryMode)
    system_configs: tuple[str, ...] = (DEFAULT_SYSTEM_CONFIG,)
    #: Descriptions of the memories, for targets that simulate or set them: built-in ones, those
    #: of the [timing] section, or `default`, which follows the system configuration.
    timing_profiles: tuple[str, ...] = (DEFAULT_TIMING,)
    targets: tuple[str, ...] = ("sim",)


class VelaConfig(StrictModel):
    """How Vela is called."""

    optimise: Literal["Performance", "Size"] = "Performance"
    #: A custom `.ini`, relative to the configuration file; default: the one Vela ships.
    config_file: Path | None = None
    timeout_s: float = Field(default=600, gt=0)


class SweepConfig(StrictModel):
    """When the MAC sweep calls a network starved; see `bench.sweep` for the definitions."""

    #: Scaling efficiency below which the MAC engines count as starved.
    starved_below: float = Field(default=0.4, gt=0, lt=1)
    #: Share of cycles in memory-bound layers from which memory is named as the cause.
    memory_share_from: float = Field(default=0.5, gt=0, le=1)


class ReferenceConfig(StrictModel):
    """How much of the test set is compared with the reference interpreter, bit by bit."""

    samples: int = Field(default=100, ge=1)


class DataConfig(StrictModel):
    """Where the data of the trained workloads comes from."""

    mnist: Literal["auto", "full", "subset"] = "auto"


class BenchConfig(StrictModel):
    """The whole of `bench.toml`."""

    schema_version: Literal[1] = 1
    grid: GridConfig = GridConfig()
    vela: VelaConfig = VelaConfig()
    sweep: SweepConfig = SweepConfig()
    data: DataConfig = DataConfig()
    reference: ReferenceConfig = ReferenceConfig()
    #: The user's own timing profiles, by name.
    timing: dict[str, TimingProfile] = Field(default_factory=dict)
    workloads: dict[str, Workload]

    @field_validator("workloads", mode="before")
    @classmethod
    def _expand_paths(cls, value: Any) -> Any:
        # `my_model = "model.tflite"` is the one-line way to bring a model.
        if not isinstance(value, dict):
            return value
        return {k: {"model": v} if isinstance(v, str) else v for k, v in value.items()}

    @model_validator(mode="after")
    def _names_exist(self) -> BenchConfig:
        for name in self.workloads:
            _check_name("workload", name)
        for name in self.grid.workloads:
            if name not in self.workloads:
                raise ValueError(
                    f"grid.workloads: unknown workload {name!r}; "
                    f"{suggest(name, list(self.workloads))}"
                )
        variants = sorted({v for w in self.workloads.values() for v in w.variants})
        for name in self.grid.variants:
            if name not in variants:
                raise ValueError(
                    f"grid.variants: unknown variant {name!r}; {suggest(name, variants)}"
                )
        for name in self.grid.timing_profiles:
            known = [DEFAULT_TIMING, *PROFILES, *self.timing]
            if name not in known:
                raise ValueError(
                    f"grid.timing_profiles: unknown profile {name!r}; {suggest(name, known)}"
                )
        for name in self.timing:
            _check_name("timing profile", name)
        if DEFAULT_TIMING in self.grid.timing_profiles:
            for name in self.grid.system_configs:
                if name not in _PROFILE_OF_SYSTEM:
                    raise ValueError(
                        f"grid.timing_profiles: there is no default for system_config {name!r}: "
                        f"name one of {', '.join(PROFILES)}, or describe it under [timing]"
                    )
        for key, workload in self.workloads.items():
            for i, rule in enumerate(workload.limits):
                for name in rule.variants or ():
                    if name not in workload.variants:
                        raise ValueError(
                            f"workloads.{key}.limits[{i}].variants: unknown variant {name!r}; "
                            f"{suggest(name, list(workload.variants))}"
                        )
        return self


def _check_name(what: str, name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise ValueError(
            f"{what} {name!r}: a name becomes part of cell ids and file names; "
            "use lower-case letters, digits and underscores, beginning with a letter"
        )


#: The timing profile that describes the memories of each system configuration Vela ships.
_PROFILE_OF_SYSTEM = {
    "Ethos_U55_High_End_Embedded": "u55_high_end",
    "Ethos_U55_Deep_Embedded": "u55_deep_embedded",
}


def timing_of(config: BenchConfig, cell: Cell) -> tuple[str, TimingProfile]:
    """The name and content of the timing profile of `cell`."""
    name = cell.timing
    if name == DEFAULT_TIMING:
        name = _PROFILE_OF_SYSTEM[cell.system_config]
    return name, config.timing[name] if name in config.timing else PROFILES[name]


def load_config(path: Path) -> BenchConfig:
    """Read and check the configuration file at `path`.

    Relative paths inside are resolved against the file's own directory.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds a wrong key or value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read: {error}",
            cure="name the configuration with --bench-config FILE, or run where bench.toml is",
        ) from error
    return parse_config(text, path)


def parse_config(text: str, path: Path) -> BenchConfig:
    """As `load_config`, for `text` that came from `path`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    try:
        config = BenchConfig.model_validate(document)
    except ValidationError as error:
        raise ConfigError(_explain(error, path)) from error
    return _resolve_paths(config, path.parent.resolve())


def _explain(error: ValidationError, path: Path) -> str:
    lines = []
    for item in error.errors():
        keys = [part for i, part in enumerate(item["loc"]) if not _is_union_tag(item["loc"], i)]
        where = ""
        for part in keys:
            where += f"[{part}]" if isinstance(part, int) else f".{part}"
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{path}: {where.lstrip('.') + ': ' if where else ''}{message}")
    return "\n".join(lines)


def _is_union_tag(loc: tuple[int | str, ...], i: int) -> bool:
    """Whether part `i` of a pydantic location is a union's tag and so no key of the file.

    Unions stand at `workloads.NAME` and at `workloads.NAME.variants.NAME`; pydantic puts the
    chosen member's tag right behind each.
    """
    return loc[0] == "workloads" and (i == 2 or (i == 5 and loc[3] == "variants"))


def _resolve_paths(config: BenchConfig, root: Path) -> BenchConfig:
    def at_root(path: Path | None) -> Path | None:
        return None if path is None else root / path.expanduser()

    workloads: dict[str, Workload] = {}
    for name, workload in config.workloads.items():
        if isinstance(workload, ModelFileWorkload):
            update = {"model": at_root(workload.model), "dataset": at_root(workload.dataset)}
            workload = workload.model_copy(update=update)
        workloads[name] = workload
    vela = config.vela.model_copy(update={"config_file": at_root(config.vela.config_file)})
    return config.model_copy(update={"workloads": workloads, "vela": vela})


def fingerprint(config: BenchConfig) -> str:
    """sha256 of the configuration's content, for run manifests."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()
