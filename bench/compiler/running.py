"""Two ways to run Vela with the same result: a process for each compile, and `VelaServer`.

Neither leaves anything running, even after a timeout, after Ctrl-C, or when the bench dies.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bench.compiler import fork_server
from bench.compiler.installation import VelaInstallation, vela_version
from bench.core.logging import logger
from bench.core.processes import Bounds, Ended, TimedOutError, run_to_end
from bench.core.processes.closing import Closing
from bench.core.processes.servers import End, LostError, Server

__all__ = ["VelaRunner", "VelaServer", "run_alone"]

_LOG = logger(__name__)


class VelaRunner(Protocol):
    """How Vela's process is started."""

    def __call__(self, arguments: Sequence[str], work: Path, bounds: Bounds) -> Ended:
        """Run Vela with `arguments` in the empty directory `work`.

        Raises `TimedOutError` when it takes longer than `bounds` allow. When it needs more memory,
        it fails and says so.
        """
        ...


def run_alone(
    arguments: Sequence[str], work: Path, bounds: Bounds, vela: VelaInstallation | None = None
) -> Ended:
    """A `VelaRunner`: `python -m ethosu.vela` as a separate process.

    `vela` None: that beside the bench.
    """
    vela = vela or VelaInstallation(vela_version())
    return run_to_end(
        [*vela.program("-m", "ethosu.vela"), *arguments],
        bounds,
        # `python -m` puts the working directory first on the import path; an empty one
        # cannot shadow Vela's modules.
        cwd=work,
        environment={**os.environ, **vela.environment},
        stderr=subprocess.STDOUT,
    )


class VelaServer(Closing):
    """A `VelaRunner` that keeps a process with Vela imported and forks it for each compile.

    Use as a context manager; leaving it ends the process. For one thread at a time. Started at
    the first compile, and again when it had to be killed.
    """

    def __init__(self, vela: VelaInstallation | None = None) -> None:
        """`vela` None: that beside the bench."""
        self._vela = vela or VelaInstallation(vela_version())
        self._server = Server(
            self._vela.program(str(Path(fork_server.__file__).resolve())),
            # A fork has only the thread that forks, so there must be no other thread.
            environment={**self._vela.environment, "OPENBLAS_NUM_THREADS": "1"},
        )

    @property
    def pid(self) -> int | None:
        """The process, or None while there is none."""
        return self._server.pid

    def close(self) -> None:
        """End the process, if there is one. May be called again."""
        self._server.close()

    def __call__(self, arguments: Sequence[str], work: Path, bounds: Bounds) -> Ended:
        """See `VelaRunner`. If the process dies, `run_alone` is used instead, and says why."""
        words = work / "words"
        order = fork_server.Order(arguments=list(arguments), directory=str(work), words=str(words))
        try:
            with self._server.conversation(bounds.memory_bytes) as vela:
                vela.send(json.dumps(order).encode(), bounds.seconds)
                status = int(vela.receive(bounds.seconds))
        except LostError as error:
            if error.end is End.TIME:
                raise TimedOutError(_read(words)) from error
            words.unlink(missing_ok=True)
            _LOG.info("Vela's process was lost (%s): Vela runs again in a separate process", error)
            return run_alone(arguments, work, bounds, self._vela)
        said = _read(words)
        words.unlink(missing_ok=True)
        return Ended(status, said)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
