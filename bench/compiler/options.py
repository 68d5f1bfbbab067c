"""The options for Vela: `VelaOptions`, its command line and its fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from bench.compiler.ini import CONFIG_BYTES_MAX, check_sections
from bench.compiler.installation import BUNDLED_CONFIG, DISTRIBUTION, VelaInstallation
from bench.core.errors import ConfigError
from bench.core.files import read_regular
from bench.core.schema import StrictModel
from bench.core.units import KIB
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.system_configs import DEFAULT_SYSTEM_CONFIG

__all__ = ["VelaOptions"]


class VelaOptions(StrictModel):
    """How a network is compiled: everything that changes what Vela writes.

    `config_file` None means the file that Arm ships with Vela (`Arm/vela.ini`).
    """

    accelerator: Accelerator
    memory_mode: MemoryMode
    system_config: str = DEFAULT_SYSTEM_CONFIG
    config_file: Path | None = None
    #: Fewest cycles, or smallest SRAM use.
    optimise: Literal["Performance", "Size"] = "Performance"
    #: SRAM for the arena, in KiB; None: what the memory mode says.
    arena_cache_kib: int | None = None
    #: In bytes; None: Vela's 16.
    cpu_tensor_alignment: int | None = None
    #: Further arguments, as they are.
    extra: tuple[str, ...] = ()

    def check(self, vela: VelaInstallation) -> None:
        """Read the configuration file and reject what `vela` would misread or silently ignore.

        Raises `ConfigError`, which names the file and key; see `bench.compiler.ini` for the rules.
        Raises `PrerequisiteError` if the bundled file is needed and `vela` has none.
        """
        check_sections(self._config_path(vela), self.system_config, self.memory_mode.value)

    def arguments(self, model: str, output_dir: str, config: str | None = None) -> tuple[str, ...]:
        """Vela's command-line arguments, every option that matters given explicitly.

        All of them reach regor, the compiler core (found by experiment with Vela 5.2.0:
        `--optimise Size` lowers the SRAM used, the accelerator and memory mode change the
        stream). `--verbose-performance` makes Vela write the per-layer CSV file, and
        `--enable-debug-db` which operation comes from which layer; neither changes the model, and
        together they cost some 20 ms. `config` replaces the configuration file's path (for records
        that must not name a machine).
        """
        return (
            model,
            "--accelerator-config",
            self.accelerator.vela_name,
            "--memory-mode",
            self.memory_mode.value,
            "--system-config",
            self.system_config,
            "--config",
            config if config is not None else self._config_argument(),
            "--optimise",
            self.optimise,
            "--output-format",
            "tflite",
            "--output-dir",
            output_dir,
            "--verbose-performance",
            "--enable-debug-db",
            *self._chosen(),
        )

    def _chosen(self) -> tuple[str, ...]:
        """What is given only if it is not Vela's default."""
        chosen: list[str] = []
        if self.arena_cache_kib is not None:
            chosen += ["--arena-cache-size", str(self.arena_cache_kib * KIB)]
        if self.cpu_tensor_alignment is not None:
            chosen += ["--cpu-tensor-alignment", str(self.cpu_tensor_alignment)]
        return (*chosen, *self.extra)

    def recorded_command(self) -> tuple[str, ...]:
        """The command line with `{python}`, `{model}` and `{output_dir}` for machine paths.

        A custom configuration file is recorded by its name alone; its hash stands beside it.
        """
        config = (
            BUNDLED_CONFIG
            if self.config_file is None
            else f"{{config_dir}}/{self.config_file.name}"
        )
        arguments = self.arguments("{model}", "{output_dir}", config)
        return ("{python}", "-m", "ethosu.vela", *arguments)

    def fingerprint(self, version: str, config_sha256: str) -> dict[str, Any]:
        """Everything besides the model that decides what Vela writes, as JSON-able data.

        Holds Vela's `version` and the sha256 of the configuration file's bytes (see
        `config_sha256`), never its path, so that a cache key survives a move and notices an edit.
        """
        return {
            "compiler": DISTRIBUTION,
            "version": version,
            # The name of a custom file changes nothing in the output; its content does.
            "arguments": list(self.arguments("{model}", "{output_dir}", "{config}")),
            "config_sha256": config_sha256,
        }

    def config_sha256(self, vela: VelaInstallation) -> str:
        """The sha256 of the bytes of the configuration file that `vela` would read.

        Raises `ConfigError` when it cannot be read, `PrerequisiteError` when `vela` has none.
        """
        return hashlib.sha256(_read_bytes(self._config_path(vela))).hexdigest()

    def _config_argument(self) -> str:
        # A relative path of two parts would be looked up inside Vela's package, so a custom
        # file is always given absolutely.
        return BUNDLED_CONFIG if self.config_file is None else str(self.config_file.resolve())

    def _config_path(self, vela: VelaInstallation) -> Path:
        return vela.bundled_config() if self.config_file is None else self.config_file.resolve()


def _read_bytes(path: Path) -> bytes:
    try:
        return read_regular(path, CONFIG_BYTES_MAX)
    except OSError as error:
        raise ConfigError(
            f"cannot read the Vela configuration file {path}: {error.strerror or error}",
            cure="give the path of an existing .ini file, or none for Arm's own",
        ) from error
