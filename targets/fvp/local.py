"""FVP processes on this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.core.errors import PrerequisiteError
from targets.fvp.launch import Consumer, Launch, Outcome
from targets.fvp.process import run_process

__all__ = ["LocalLauncher"]


@dataclass(frozen=True)
class LocalLauncher:
    """Runs an executable on this machine."""

    #: The executable's absolute path, and arguments that always come first.
    executable: tuple[str, ...]
    #: Added to this process's environment.
    environment: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> Mapping[str, str]:
        """The executable's sha256. Raises `PrerequisiteError` when it cannot be read."""
        return {"executable": _sha256(Path(self.executable[0]))}

    def command(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """The executable and `arguments`."""
        return (*self.executable, *arguments)

    def run(self, launch: Launch, consume: Consumer) -> Outcome:
        """See `Launcher.run`."""
        environment = {**os.environ, **self.environment}
        return run_process(self.command(launch.arguments), launch, consume, environment=environment)


@cache
def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise PrerequisiteError(
            f"the FVP {path} cannot be read: {error.strerror}",
            cure="check the path and its permissions",
        ) from error
    return digest.hexdigest()
