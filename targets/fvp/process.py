"""One process, watched: its output passed on and logged, its time and words limited."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from bench.core.errors import PrerequisiteError
from targets.fvp.launch import Consumer, Ending, Launch, Limits, Outcome
from targets.fvp.log import OutputLog

__all__ = ["run_process"]

_CHUNK = 1 << 16
#: How often an exited process is noticed whose descendants keep its output open.
_LOOK_SECONDS = 0.5
#: How often a process is looked at that has closed its output and goes on.
_POLL_SECONDS = 0.005
#: Seconds a killed process has for disappearing.
_REAP_SECONDS = 10.0


def run_process(
    command: Sequence[str],
    launch: Launch,
    consume: Consumer,
    *,
    environment: Mapping[str, str] | None = None,
    cleanup: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run `command` in `launch.directory` under the launch's limits; for launchers.

    It leads a session of its own, which is killed as a whole at the end, however that comes.
    `cleanup` is called after that on every way out, for what is not a child of ours (containers).
    `environment` None = this process's own. Raises `PrerequisiteError` when it cannot be started.
    """
    with OutputLog(launch.log, launch.limits.log_bytes) as log:
        started = time.monotonic()
        # A Ctrl-C between the fork and the `try` would lose the process: it has to wait.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = _start(command, launch, environment)
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            ending = _watch(process, _Watched(launch.limits, consume, log), started)
        finally:
            _end(process)
            cleanup()
        return Outcome(
            ending=ending,
            status=process.returncode if ending is Ending.EXITED else None,
            seconds=time.monotonic() - started,
            output_bytes=log.size,
            head=log.head,
            tail=log.tail,
        )


def _start(
    command: Sequence[str], launch: Launch, environment: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(command),
            cwd=launch.directory,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise PrerequisiteError(
            f"{command[0]} cannot be started: {error.strerror or error}",
            cure="is it an executable for this machine? Try it with --version by hand",
        ) from error


class _Watched:
    """What is done with output, and what it means for the process."""

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
        """When it is to be killed, and what that is called."""
        end = started + self.limits.seconds
        if self._satisfied_at is not None:
            linger = self._satisfied_at + self.limits.linger_seconds
            if linger < end:
                return linger, Ending.LINGERED
        return end, Ending.TIMED_OUT


def _watch(process: subprocess.Popen[bytes], watched: _Watched, started: float) -> Ending:
    """Read until the process has ended or must be."""
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
                data = output.read(_CHUNK)
                if data == b"":
                    break
                if data is not None and not watched.take(data):
                    return Ending.FLOODED
            elif _has_ended(process):
                # What still holds the pipe is a descendant, and it is silent.
                return Ending.EXITED
    deadline, ending = watched.deadline(started)
    while not _has_ended(process):
        if time.monotonic() >= deadline:
            return ending
        time.sleep(_POLL_SECONDS)
    return Ending.EXITED


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended. It is not reaped: until then its id, the group's, is nobody else's."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise AssertionError("the process was started with a pipe")
    return process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of the session, and reap its leader."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_REAP_SECONDS)
    _output(process).close()
