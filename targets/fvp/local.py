"""FVP processes on this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from bench.core.errors import PrerequisiteError, TargetError
from bench.core.files import open_regular
from bench.core.stamps import Stamp
from targets.fvp.launch import Consumer, Launch, Outcome
from targets.fvp.process import run_process

__all__ = ["LocalLauncher"]


class LocalLauncher:
    """Runs an executable on this machine, unless it changed since its identity was first read."""

    def __init__(
        self, executable: tuple[str, ...], environment: Mapping[str, str] | None = None
    ) -> None:
        """`executable`: its absolute path, and arguments that always come first.

        `environment` is added to this process's own.
        """
        self._executable = executable
        self._environment = environment or {}
        self._path = Path(executable[0])
        self._identity: tuple[str, Stamp] | None = None

    def identity(self) -> Mapping[str, str]:
        """The executable's sha256.

        Raises `PrerequisiteError` if it cannot be read, `TargetError` if it changed since then.
        """
        if self._identity is None:
            try:
                # The stamp first: if the file changes while it is read, its stamp differs later.
                stamp = Stamp.of(self._path)
                self._identity = _sha256(self._path), stamp
            except OSError as error:
                raise PrerequisiteError(
                    f"the FVP {self._path} cannot be read: {error.strerror}",
                    cure="check the path and its permissions",
                ) from error
        self._require_untouched()
        return {"executable": self._identity[0]}

    def command(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """The executable and `arguments`."""
        return (*self._executable, *arguments)

    def run(self, launch: Launch, consume: Consumer) -> Outcome:
        """See `Launcher.run`. Raises `TargetError` if the executable has changed meanwhile."""
        command = self.command(launch.arguments)
        environment = {**os.environ, **self._environment}
        outcome = run_process(command, launch, consume, environment=environment)
        self._require_untouched()
        return outcome

    def _require_untouched(self) -> None:
        if self._identity is None:
            return
        try:
            same = Stamp.of(self._path) == self._identity[1]
        except OSError:
            same = False
        if not same:
            raise TargetError(
                f"the FVP {self._path} was changed while the bench was running", cure="run again"
            )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
