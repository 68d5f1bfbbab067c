"""Running one process of a job: seat, directory, log, limits, and retries where they help."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BenchError, TargetError
from targets.fvp.diagnosis import diagnose
from targets.fvp.errors import InfrastructureError, MissingAnswerError
from targets.fvp.launch import Launch, Launcher, Limits
from targets.fvp.process_slots import seat, seats_directory
from targets.fvp.runner import Process

__all__ = ["Attempts"]


@dataclass(frozen=True)
class Attempts:
    """How processes are started, and how often."""

    launcher: Launcher
    limits: Limits
    retries: int
    seats: int

    def run(self, process: Process, options: Sequence[str], logs: Path) -> None:
        """Run `process` until its answer is sound; `options` follow its own arguments.

        The output of every attempt is kept in `logs` as `attempt-1.log` and so on. After an
        `InfrastructureError` the process is tried again, up to `retries` times, with a warning.
        Raises the last attempt's error, with the name of its log.
        """
        for left in reversed(range(self.retries + 1)):
            log = _next_log(logs)
            try:
                self._attempt(process, options, log)
            except InfrastructureError as error:
                if left == 0:
                    raise _with_log(error, log) from error
                warnings.warn(
                    f"tried again after: {error.what} (log: {log})", RuntimeWarning, stacklevel=2
                )
            except BenchError as error:
                raise _with_log(error, log) from error
            else:
                return

    def _attempt(self, process: Process, options: Sequence[str], log: Path) -> None:
        with (
            seat(self.seats, seats_directory()),
            tempfile.TemporaryDirectory(prefix="bench-fvp-") as name,
        ):
            directory = Path(name)
            for file, content in process.files.items():
                (directory / file).write_bytes(content)
            process.begin()
            launch = Launch((*process.arguments, *options), directory, log, self.limits)
            outcome = self.launcher.run(launch, process.take)
            try:
                process.finish(outcome, directory)
            except MissingAnswerError as error:
                raise diagnose(outcome, self.limits, error.what) from error


def _next_log(logs: Path) -> Path:
    """A log that does not exist yet."""
    logs.mkdir(parents=True, exist_ok=True)
    number = 1
    while (logs / f"attempt-{number}.log").exists():
        number += 1
    return logs / f"attempt-{number}.log"


def _with_log(error: BenchError, log: Path) -> BenchError:
    """The same kind of error, which also says where the process's output is kept."""
    kind = TargetError if isinstance(error, MissingAnswerError) else type(error)
    return kind(f"{error.what} (its output: {log})", cure=error.cure)
