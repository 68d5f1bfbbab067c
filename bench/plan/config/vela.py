"""How Vela is called: the table `[vela]` of `bench.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from bench.compiler import is_vela_version
from bench.core.processes import Bounds
from bench.core.schema import StrictModel
from bench.core.units import MIB
from targets.settings import LONGEST_WAIT_S

__all__ = ["VelaConfig"]

#: Options that the bench gives itself, or that make Vela do something else than compile.
_OURS = (
    *("--accelerator-config", "--memory-mode", "--system-config", "--config", "--optimise"),
    *("--output-format", "--output-dir", "--verbose-performance", "--enable-debug-db"),
    *("--arena-cache-size", "--cpu-tensor-alignment"),
    *("--api-version", "--help", "--list-config-files", "--supported-ops-report", "--version"),
)


class VelaConfig(StrictModel):
    """How Vela is called."""

    optimise: Literal["Performance", "Size"] = "Performance"
    #: A custom `.ini`, relative to the configuration file; default: the one Vela ships.
    config_file: Path | None = None
    #: How much SRAM Vela may plan for the arena, in KiB; default: what the memory mode says.
    arena_cache_kib: int | None = Field(default=None, ge=1, le=4 << 20)
    #: Alignment of the tensors that the CPU uses, in bytes; default: 16.
    cpu_tensor_alignment: int | None = Field(default=None, ge=16, le=1 << 16)
    #: Further arguments of the command `vela`.
    extra: tuple[str, ...] = ()
    #: Lock files of versions that the bench has none of, by version; see `grid.vela`.
    locks: dict[str, Path] = Field(default_factory=dict)
    timeout_s: float = Field(default=600, gt=0, le=LONGEST_WAIT_S)
    #: How much memory one compile may take; a model that needs more is most likely damaged.
    memory_mib: int = Field(default=4096, ge=256)

    @property
    def bounds(self) -> Bounds:
        """The bounds of one compile."""
        return Bounds(self.timeout_s, self.memory_mib * MIB)

    @field_validator("cpu_tensor_alignment")
    @classmethod
    def _is_a_power_of_two(cls, value: int | None) -> int | None:
        if value is not None and value & (value - 1):
            raise ValueError(f"{value} is no power of two")
        return value

    @field_validator("locks")
    @classmethod
    def _are_of_versions(cls, value: dict[str, Path]) -> dict[str, Path]:
        for version in value:
            if not is_vela_version(version):
                raise ValueError(f"{version!r} is no version of Vela, such as '5.0.0'")
        return value

    @field_validator("extra")
    @classmethod
    def _are_not_ours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and not value[0].startswith("--"):
            raise ValueError(f"{value[0]!r} is no option; options begin with --")
        for word in value:
            # Vela takes the beginning of an option for the whole.
            name = word.partition("=")[0]
            ours = next((one for one in _OURS if one.startswith(name)), None)
            if name.startswith("--") and ours is not None:
                raise ValueError(f"{name} is {ours}, which the bench does not pass on")
        return value
