"""One process, watched: its output is passed on and logged, its time and output are limited."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from bench.core.errors import PrerequisiteError
from bench.core.processes import guarded, wait_for_status
from targets.fvp.launch import Consumer, Ending, Launch, Limits, Outcome
from targets.fvp.log import OutputLog

__all__ = ["run_process"]

_CHUNK = 1 << 16
#: How often to check for the exit of a process whose descendants keep its output open.
_LOOK_SECONDS = 0.5


def run_process(
    command: Sequence[str],
    launch: Launch,
    consume: Consumer,
    *,
    environment: Mapping[str, str] | None = None,
    cleanup: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run `command` in `launch.directory` under the launch's limits; for launchers.

    It leads its own session, which is killed as a whole at the end, whatever the end is. After that
    `cleanup` is always called, for what is not a child of ours (containers). `environment` None =
    this process's own. Raises `PrerequisiteError` when it cannot be started.
    """
    with OutputLog(launch.log, launch.limits.log_bytes) as log:
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.callback(cleanup)
            process = stack.enter_context(_started(command, launch, environment))
            ending = _watch(process, _Watched(launch.limits, consume, log), started)
        return Outcome(
            ending=ending,
            status=process.returncode if ending is Ending.EXITED else None,
            seconds=time.monotonic() - started,
            output_bytes=log.size,
            head=log.head,
            tail=log.tail,
        )


@contextlib.contextmanager
def _started(
    command: Sequence[str], launch: Launch, environment: Mapping[str, str] | None
) -> Iterator[subprocess.Popen[bytes]]:
    with contextlib.ExitStack() as stack:
        try:
            process = stack.enter_context(
                guarded(
                    command,
                    memory_bytes=launch.limits.memory_bytes,
                    cwd=launch.directory,
                    environment=environment,
                    stderr=subprocess.STDOUT,
                )
            )
        except OSError as error:
            raise PrerequisiteError(
                f"{command[0]} cannot be started: {error.strerror or error}",
                cure="check that it is an executable for this machine: try --version by hand",
            ) from error
        yield process


class _Watched:
    """What happens to output, and what it means for the process."""

    def __init__(self, limits: Limits, consume: Consumer, log: OutputLog) -> None:
        self.limits = limits
        self._consume = consume
        self._log = log
        self._satisfied_at: float | None = None

    def take(self, data: bytes) -> bool:
        """Take output; returns whether there may be more."""
        self._log.write(data)
        if self._satisfied_at is None and self._consume(data):
            self._satisfied_at = time.monotonic()
        return self._log.size <= self.limits.output_bytes

    def deadline(self, started: float) -> tuple[float, Ending]:
        """When the process is killed, and what that end is called."""
        end = started + self.limits.seconds
        if self._satisfied_at is not None:
            linger = self._satisfied_at + self.limits.linger_seconds
            if linger < end:
                return linger, Ending.LINGERED
        return end, Ending.TIMED_OUT


def _watch(process: subprocess.Popen[bytes], watched: _Watched, started: float) -> Ending:
    """Read until the process has ended or must be killed."""
    output = _output(process)
    os.set_blocking(output.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            deadline, ending = watched.deadline(started)
            left = deadline - time.monotonic()
            if left <= 0:
                return ending
            if selector.select(min(left, _LOOK_SECONDS)):
                data = os.read(output.fileno(), _CHUNK)
                if not data:
                    break
                if not watched.take(data):
                    return Ending.FLOODED
            elif wait_for_status(process, 0) is not None:
                # A descendant still holds the pipe, and is silent.
                return Ending.EXITED
    deadline, ending = watched.deadline(started)
    status = wait_for_status(process, deadline - time.monotonic())
    return ending if status is None else Ending.EXITED


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise AssertionError("the process was started with a pipe")
    return process.stdout
