"""The versions of Vela: each installed once, in the cache, and kept running while it is needed.

Only the version beside the bench needs no installation. Every other one is a product like all
others: made when it is first needed, by one process however many want it, published whole, used
only if it is intact to the byte, and removed by `bench cache gc` when it is no longer used. What it
is made from is its lock file, whose hashes leave no choice.
"""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.cache import ArtefactCache, CacheKey
from bench.compiler import (
    LockFile,
    VelaInstallation,
    VelaRunner,
    VelaServer,
    beside_the_bench,
    find_lock,
    install_vela,
)
from bench.core.processes.closing import Closing
from bench.measuring.progress import Sink, Task, waiting
from bench.plan.cell import INSTALLED_VELA

__all__ = ["RunningVela", "VelaInstallations", "Velas", "installation_key"]


def installation_key(lock: LockFile) -> CacheKey:
    """Under what the cache holds the installation of `lock` for this Python and machine."""
    return CacheKey(
        "vela_installation",
        {
            "version": lock.version,
            "lock": lock.sha256,
            # What pip chooses wheels by.
            "python": f"{sys.implementation.cache_tag} {sysconfig.get_platform()}",
            "libc": " ".join(platform.libc_ver()),
        },
    )


@dataclass(frozen=True)
class VelaInstallations:
    """The installations in a cache."""

    cache: ArtefactCache
    #: The user's own lock files, by version.
    locks: Mapping[str, Path]
    sink: Sink

    def obtain(self, vela: str) -> VelaInstallation:
        """The installation that a cell's `vela` names, made if it is not there.

        Raises `PrerequisiteError` if it cannot be installed or does not run here, `ConfigError`
        without a lock file of it, `CacheError`.
        """
        if vela == INSTALLED_VELA:
            return beside_the_bench()
        lock = find_lock(vela, self.locks)
        name = f"Vela {vela}"

        def build(directory: Path) -> None:
            with Task.running("install", name, self.sink):
                install_vela(lock, directory)

        key = installation_key(lock)
        entry = self.cache.get_or_build(key, build, on_wait=waiting(name, self.sink))
        return VelaInstallation(vela, entry.path)

    def find(self, vela: str) -> VelaInstallation | None:
        """The installation, if nothing has to be made for it. Raises `ConfigError` as above."""
        if vela == INSTALLED_VELA:
            return beside_the_bench()
        entry = self.cache.find(installation_key(find_lock(vela, self.locks)))
        return None if entry is None else VelaInstallation(vela, entry.path)


@dataclass(frozen=True)
class RunningVela:
    """An installation, and what runs it."""

    installation: VelaInstallation
    runner: VelaRunner


class Velas(Closing):
    """Each Vela's process, started when it is first asked for.

    Use as a context manager; leaving it ends the processes. For one thread at a time.
    """

    def __init__(self, installations: VelaInstallations) -> None:
        self._installations = installations
        self._life = ExitStack()
        self._running: dict[str, RunningVela] = {}

    def close(self) -> None:
        """End what was started. May be called again."""
        self._running = {}
        self._life.close()

    def running(self, vela: str) -> RunningVela:
        """What runs the cells of `vela`. Raises as `VelaInstallations.obtain` does."""
        if vela not in self._running:
            installation = self._installations.obtain(vela)
            server = self._life.enter_context(VelaServer(installation))
            self._running[vela] = RunningVela(installation, server)
        return self._running[vela]
