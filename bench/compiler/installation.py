"""Where a Vela is installed: beside the bench, or in a directory of its own.

A directory holds everything that its Vela imports. Its process runs this Python with `-S`, so that
no package of the bench's own environment is visible to it, and with `PYTHONPATH`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import PrerequisiteError
from bench.core.versions import installed_version

__all__ = ["BUNDLED_CONFIG", "DISTRIBUTION", "VelaInstallation", "beside_the_bench", "vela_version"]

#: Vela's package.
DISTRIBUTION = "ethos-u-vela"
#: The configuration file in it, as `--config` names it.
BUNDLED_CONFIG = "Arm/vela.ini"

_CURE_ABSENT = f"install it into this Python environment: pip install {DISTRIBUTION}"


@dataclass(frozen=True)
class VelaInstallation:
    """A Vela that can be run."""

    version: str
    #: Where it and what it imports are; None: in the bench's own Python environment.
    directory: Path | None = None

    def program(self, *python_arguments: str) -> tuple[str, ...]:
        """This Python with `python_arguments`, so that it imports this Vela; see `environment`."""
        isolated = () if self.directory is None else ("-S",)
        return (sys.executable, *isolated, *python_arguments)

    @property
    def environment(self) -> dict[str, str]:
        """What the environment of `program` needs besides that of the bench.

        Vela writes its CSV files in the locale's encoding and fails on a tensor name that the
        locale cannot spell, so it gets UTF-8.
        """
        if self.directory is None:
            return {"PYTHONUTF8": "1"}
        return {
            "PYTHONUTF8": "1",
            "PYTHONPATH": str(self.directory),
            # The directory is in the cache, where nothing may change.
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def shell_command(self, arguments: Sequence[str]) -> str:
        """The command that runs Vela with `arguments`, to paste into a shell."""
        command = shlex.join([*self.program("-m", "ethosu.vela"), *arguments])
        if self.directory is None:
            return command
        return f"PYTHONPATH={shlex.quote(str(self.directory))} {command}"

    def bundled_config(self) -> Path:
        """Where it keeps `Arm/vela.ini`; found without importing Vela.

        Raises `PrerequisiteError` if it has none.
        """
        for location in self._package():
            path = location / "config_files" / BUNDLED_CONFIG
            if path.is_file():
                return path
        raise PrerequisiteError(
            f"Vela {self.version} is installed without its configuration file {BUNDLED_CONFIG}",
            cure=f"reinstall it: pip install --force-reinstall {DISTRIBUTION}",
        )

    def _package(self) -> tuple[Path, ...]:
        if self.directory is not None:
            return (self.directory / "ethosu",)
        spec = importlib.util.find_spec("ethosu")
        return tuple(map(Path, (spec.submodule_search_locations or ()) if spec else ()))


def vela_version() -> str:
    """The version of the Vela beside the bench, such as `5.2.0`.

    Raises `PrerequisiteError` when Vela is not installed in this Python environment.
    """
    try:
        return installed_version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise PrerequisiteError(
            f"Vela (package {DISTRIBUTION}) is not installed", cure=_CURE_ABSENT
        ) from error


def beside_the_bench() -> VelaInstallation:
    """The Vela of this Python environment.

    Raises `PrerequisiteError` if there is none, or one without its configuration file.
    """
    installation = VelaInstallation(vela_version())
    installation.bundled_config()
    return installation
