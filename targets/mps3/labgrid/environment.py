"""A labgrid environment file: what it says about the board, and the coordinator it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.core.errors import ConfigError, PrerequisiteError
from bench.core.files import read_regular, reason
from targets.mps3.errors import BoardUnavailableError
from targets.mps3.labgrid.coordinator import Coordinator
from targets.mps3.labgrid.reservation import matching
from targets.settings.mps3 import Mps3Settings

__all__ = ["LabgridEnvironment", "places_of"]

_BYTES_MAX = 1 << 20


class LabgridEnvironment:
    """The file, with its target `main`."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `PrerequisiteError` without labgrid, `ConfigError`."""
        try:
            from labgrid import Environment
        except ImportError as error:
            raise PrerequisiteError(
                "the package labgrid is not installed", cure="pip install ethos-u55-bench[labgrid]"
            ) from error
        self.path = path
        try:
            # labgrid opens whatever it is given.
            read_regular(path, _BYTES_MAX)
            self._environment: Any = Environment(str(path))
            self._config: dict[str, Any] = self._environment.config.data["targets"]["main"]
        except Exception as error:
            # labgrid and its YAML reader raise their own classes, and also plain ones.
            raise ConfigError(
                f"{path} is not a labgrid environment with a target 'main': {reason(error)}",
                cure="see deploy/labgrid.yaml",
            ) from error

    @property
    def coordinator(self) -> Coordinator:
        """The coordinator that it names."""
        return Coordinator(self._environment.config.get_option("coordinator_address", ""))

    @property
    def place(self) -> str:
        """The remote place; empty if the resources are those of this machine."""
        for entry in self._resources:
            if "RemotePlace" in entry:
                return str(entry["RemotePlace"].get("name", ""))
        return ""

    @property
    def switches_power(self) -> bool:
        """Whether there is a driver for the power."""
        drivers = self._config.get("drivers", {})
        names = [n for d in (drivers if isinstance(drivers, list) else [drivers]) for n in d]
        return any("Power" in name for name in names)

    def choose(self, place: str) -> None:
        """Take another place; done before the first `target`."""
        for entry in self._resources:
            if "RemotePlace" in entry:
                entry["RemotePlace"] = {"name": place}

    def require_remote_place(self, key: str) -> None:
        """Raise `ConfigError` if there is no place that setting `key` could replace."""
        if not any("RemotePlace" in entry for entry in self._resources):
            raise ConfigError(
                f"{self.path} has no RemotePlace, which targets.mps3.{key} could replace",
                cure="see deploy/labgrid.yaml",
            )

    def target(self) -> Any:
        """Labgrid's target. Raises `BoardUnavailableError`."""
        try:
            return self._environment.get_target("main")
        except Exception as error:
            # If the coordinator is not there, gRPC raises errors of its own.
            raise BoardUnavailableError(
                f"labgrid cannot give the target of {self.path}: {error}",
                cure="check with labgrid-client resources that coordinator and exporter run",
            ) from error

    @property
    def _resources(self) -> list[dict[str, Any]]:
        resources = self._config.get("resources", {})
        return resources if isinstance(resources, list) else [resources]


def places_of(settings: Mps3Settings) -> tuple[str, ...]:
    """The places with the tags of `settings`. Raises `BoardUnavailableError`, `ConfigError`."""
    assert settings.labgrid_environment is not None, "the settings' own check"
    environment = LabgridEnvironment(settings.labgrid_environment)
    environment.require_remote_place("labgrid_tags")
    places = matching(environment.coordinator.places(), settings.labgrid_tags)
    return tuple(place.name for place in places)
