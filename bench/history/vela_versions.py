"""The versions of Vela between two, all of which compile the same model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.compiler.lock_files import is_vela_version, shipped_locks
from bench.core.errors import ConfigError
from bench.history.bisect import Measured
from bench.history.child_runs import ChildRuns
from bench.plan.cell import INSTALLED_VELA
from bench.plan.config import named_velas

__all__ = ["VelaVersions", "versions_between"]


@dataclass(frozen=True)
class VelaVersions:
    """Versions in their order, and the bench that compiles with each."""

    names: tuple[str, ...]
    #: The bench and its configuration.
    root: Path
    config: Path
    #: The cell's id without a version.
    cell: str
    runs: ChildRuns

    def title(self, position: int) -> str:
        """The version."""
        return f"Vela {self.names[position]}"

    def measure(self, position: int) -> Measured:
        """See `Row.measure`."""
        version = self.names[position]
        # The installed version is part of no id.
        of_version = f"{self.cell}-vela_{version.replace('.', '_')}"
        cell = self.cell if named_velas((version,)) == (INSTALLED_VELA,) else of_version
        options = [f"--bench-vela={version}"]
        return self.runs.measure(cell, self.root, self.config, f"vela-{version}", options)


def versions_between(good: str, bad: str, own: Mapping[str, Path]) -> tuple[str, ...]:
    """The versions from `good` to `bad` that have a lock file, ours or the user's `own`.

    `bad` may be the older one. Raises `ConfigError` for what is no such version.
    """
    known = sorted({*shipped_locks(), *own}, key=_order)
    for named in (good, bad):
        if named not in known:
            raise ConfigError(
                f"there is no lock file for Vela {named}; known: {', '.join(known)}",
                cure="give a known version, or name a lock file in [vela.locks] of bench.toml",
            )
    if good == bad:
        raise ConfigError("both are the same version of Vela", cure="name two versions")
    first, last = known.index(good), known.index(bad)
    return tuple(known[first : last + 1] if first < last else known[last : first + 1][::-1])


def _order(version: str) -> tuple[tuple[int, int], ...]:
    """Versions in order; a release candidate comes before its release."""
    assert is_vela_version(version)
    release, _, candidate = version.partition("rc")
    return (*((int(part), 0) for part in release.split(".")), (int(candidate or 10_000), 0))
