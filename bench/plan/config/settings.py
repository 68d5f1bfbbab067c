"""The whole of `bench.toml` as typed, frozen objects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from bench.compiler import is_vela_version
from bench.core.processes import Bounds
from bench.core.schema import StrictModel, suggest
from bench.core.units import MIB
from bench.plan.cell import DEFAULT_TIMING, INSTALLED_VELA, Cell
from bench.plan.config.baselines import BaselineConfig
from bench.plan.config.vela import VelaConfig
from bench.plan.config.workloads import TrainedWorkload, Workload, check_name
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.system_configs import DEFAULT_SYSTEM_CONFIG
from targets.settings import LONGEST_WAIT_S, TargetSettings
from targets.timing_profiles import PROFILES, TimingProfile

__all__ = [
    "BenchConfig",
    "DataConfig",
    "GridConfig",
    "HistoryConfig",
    "ReferenceConfig",
    "SweepConfig",
    "TrainingConfig",
    "fingerprint",
    "profile_name",
    "timing_of",
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
    #: Versions of Vela, such as `5.0.0`; the one beside the bench is `installed`, however it was
    #: written.
    vela: tuple[str, ...] = (INSTALLED_VELA,)

    @field_validator("vela")
    @classmethod
    def _are_versions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name != INSTALLED_VELA and not is_vela_version(name):
                raise ValueError(
                    f"{name!r} is no version of Vela: write it in full, such as '5.0.0', or "
                    f"'{INSTALLED_VELA}' for the one beside the bench"
                )
        return value


class SweepConfig(StrictModel):
    """When the MAC sweep calls a network starved; see `bench.judging.sweep` for the definitions."""

    #: Scaling efficiency below which the MAC engines count as starved.
    starved_below: float = Field(default=0.4, gt=0, lt=1)
    #: Share of cycles in memory-bound layers from which memory is named as the cause.
    memory_share_from: float = Field(default=0.5, gt=0, le=1)


class ReferenceConfig(StrictModel):
    """How much of the test set is compared with the reference interpreter, bit by bit."""

    samples: int = Field(default=100, ge=1)
    #: For one input. An interpreter that takes longer, or wants more, gives no reference.
    timeout_s: float = Field(default=120, gt=0, le=LONGEST_WAIT_S)
    memory_mib: int = Field(default=4096, ge=512)

    @property
    def bounds(self) -> Bounds:
        """What an interpreter may take."""
        return Bounds(self.timeout_s, self.memory_mib * MIB)


class TrainingConfig(StrictModel):
    """What making one variant may take, and going once through a recipe's data."""

    minutes: float = Field(default=30, gt=0, le=LONGEST_WAIT_S / 60)
    memory_mib: int = Field(default=16 * 1024, ge=1024)

    @property
    def bounds(self) -> Bounds:
        """What the builder process may take."""
        return Bounds(60 * self.minutes, self.memory_mib * MIB)


class DataConfig(StrictModel):
    """Where the data of the built-in recipes comes from."""

    mnist: Literal["auto", "full", "subset"] = "auto"


class HistoryConfig(StrictModel):
    """Where the figures of all runs are kept."""

    #: None = `history.sqlite` beside the runs.
    path: Path | None = None


class BenchConfig(StrictModel):
    """The whole of `bench.toml`."""

    schema_version: Literal[1] = 1
    grid: GridConfig = GridConfig()
    vela: VelaConfig = VelaConfig()
    sweep: SweepConfig = SweepConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    reference: ReferenceConfig = ReferenceConfig()
    baselines: BaselineConfig = BaselineConfig()
    history: HistoryConfig = HistoryConfig()
    #: The user's own timing profiles, by name.
    timing: dict[str, TimingProfile] = Field(default_factory=dict)
    #: Settings of single targets: `[targets.fvp]`, `[targets.mps3]`.
    targets: TargetSettings = TargetSettings()
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
            check_name("workload", name)
        for name in self.timing:
            check_name("timing profile", name)
        variants = sorted({v for w in self.workloads.values() for v in w.variants})
        _known("grid.workloads", "workload", self.grid.workloads, list(self.workloads))
        _known("grid.variants", "variant", self.grid.variants, variants)
        profiles = [DEFAULT_TIMING, *PROFILES, *self.timing]
        _known("grid.timing_profiles", "profile", self.grid.timing_profiles, profiles)
        for key, workload in self.workloads.items():
            for i, rule in enumerate(workload.limits):
                place = f"workloads.{key}.limits[{i}].variants"
                _known(place, "variant", rule.variants or (), list(workload.variants))
        return self

    @model_validator(mode="after")
    def _frozen_parents_have_frozen_children(self) -> BenchConfig:
        for name in self.grid.workloads or self.workloads:
            workload = self.workloads[name]
            if not isinstance(workload, TrainedWorkload):
                continue
            for variant in workload.variants:
                if variant in workload.frozen or variant not in (self.grid.variants or (variant,)):
                    continue
                for parent in workload.lineage(variant)[1:]:
                    if parent in workload.frozen:
                        raise ValueError(
                            f"workloads.{name}.frozen.{parent}: {variant!r} is made from it, and a "
                            "frozen model has no float weights to go on from: freeze "
                            f"{variant!r} too (bench freeze {name}), or remove this entry"
                        )
        return self

    @model_validator(mode="after")
    def _default_timing_exists(self) -> BenchConfig:
        if DEFAULT_TIMING in self.grid.timing_profiles:
            for name in self.grid.system_configs:
                if name not in _PROFILE_OF_SYSTEM:
                    raise ValueError(
                        f"grid.timing_profiles: there is no default for system_config {name!r}: "
                        f"name one of {', '.join(PROFILES)}, or describe it under [timing]"
                    )
        return self


def _known(key: str, what: str, names: Iterable[str], known: list[str]) -> None:
    """Raise ValueError, with the nearest, for the first of `names` that is not known."""
    for name in names:
        if name not in known:
            raise ValueError(f"{key}: unknown {what} {name!r}; {suggest(name, known)}")


#: The timing profile that describes the memories of each system configuration that Vela ships.
_PROFILE_OF_SYSTEM = {
    "Ethos_U55_High_End_Embedded": "u55_high_end",
    "Ethos_U55_Deep_Embedded": "u55_deep_embedded",
}


def timing_of(config: BenchConfig, cell: Cell) -> tuple[str, TimingProfile]:
    """The name and content of the timing profile of `cell`."""
    name = profile_name(cell.timing, cell.system_config)
    return name, config.timing[name] if name in config.timing else PROFILES[name]


def profile_name(timing: str, system_config: str) -> str:
    """The timing profile that a cell's `timing` names."""
    return _PROFILE_OF_SYSTEM[system_config] if timing == DEFAULT_TIMING else timing


def fingerprint(config: BenchConfig, directory: Path) -> str:
    """sha256 of the configuration's content, for run manifests.

    Files below `directory`, where the configuration stands, count by their place there: two
    checkouts of it have the same configuration.
    """
    content = config.model_dump(mode="json")
    return hashlib.sha256(json.dumps(_without(content, f"{directory}/")).encode()).hexdigest()


def _without(value: Any, directory: str) -> Any:
    """`value` with `directory` removed where text begins with it."""
    if isinstance(value, dict):
        return {name: _without(item, directory) for name, item in value.items()}
    if isinstance(value, list):
        return [_without(item, directory) for item in value]
    return value.removeprefix(directory) if isinstance(value, str) else value
