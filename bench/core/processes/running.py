"""Our own processes: bounded, and ended together with everything that they started.

Compilers, interpreters and models of devices are native code that can crash, never end or use all
memory, so none of them runs in a process of the bench. All such processes are started here:

- A process leads its own session, so Ctrl-C at the terminal reaches only the bench, and one signal
  ends the process with everything that it has started.
- The kernel bounds its memory (`RLIMIT_DATA`: what it may write, not what it merely reserves). So
  the bound also holds while the bench is stopped or busy.
- It ends when the bench ends, even by SIGKILL: it holds one end of a pipe, and the kernel sends
  SIGKILL to its process group when the other end closes, whatever it is computing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

from bench.core.processes.signals import STOPPING, SignalsHeldBack
from bench.core.units import MIB

__all__ = [
    "Bounds",
    "Ended",
    "TimedOutError",
    "bound_memory",
    "end_children",
    "end_group",
    "ended_words",
    "guarded",
    "kill_group",
    "memory_bound",
    "memory_words",
    "ran_out_of_memory",
    "run_to_end",
    "signal_name",
    "wait_for_status",
]

#: Seconds that a killed process may take to disappear; it takes longer if it waits for a disk.
_REAP_S = 10.0
#: Seconds between two checks of a process that is about to end.
_POLL_S = 0.005

#: What Python, C++ and the C library say when there is no more memory.
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory")

#: A file descriptor, a file, or one of `subprocess`'s constants.
_Stream: TypeAlias = int | IO[bytes]


@dataclass(frozen=True)
class Bounds:
    """What a process may take."""

    #: Seconds of wall time for one piece of work.
    seconds: float
    #: Memory that it may write, in bytes; None = no limit.
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status (negative: a signal) and what it printed."""

    status: int
    output: str
    #: What it printed to standard error, if that was kept separate.
    errors: str = ""


class TimedOutError(Exception):
    """A process was ended because it took too long; the argument is what it had printed."""


@contextlib.contextmanager
def guarded(
    command: Sequence[str],
    *,
    memory_bytes: int | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: _Stream = subprocess.DEVNULL,
    stdout: _Stream = subprocess.PIPE,
    stderr: _Stream = subprocess.PIPE,
    keep_open: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in its own session; leaving this ends it with everything that it started.

    `environment` None means this process's own; `keep_open` are file descriptors that it inherits.
    Raises `OSError` when it cannot be started.
    """
    with contextlib.ExitStack() as started:
        watched, ours = os.pipe()
        started.callback(os.close, ours)
        # From then on only the process, and what it starts, hold this end.
        with _closed_afterwards(watched):
            # Ctrl-C between the fork and its note would lose the process.
            with SignalsHeldBack(*STOPPING):
                process = subprocess.Popen(
                    list(command),
                    cwd=cwd,
                    env=None if environment is None else dict(environment),
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    pass_fds=(watched, *keep_open),
                    start_new_session=True,
                )
                started.callback(_end_all, process, ours)
            _end_at_hang_up(watched, process.pid)
        bound_memory(process, memory_bytes)
        yield process


def run_to_end(
    command: Sequence[str],
    bounds: Bounds,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stderr: int = subprocess.PIPE,
) -> Ended:
    """Run `command` without input until it ends, and return what it printed, as UTF-8.

    `stderr` may be `subprocess.STDOUT`. Raises `TimedOutError` when the bounds end it, and
    `OSError` when it cannot be started.
    """
    with guarded(
        command,
        memory_bytes=bounds.memory_bytes,
        cwd=cwd,
        environment=environment,
        stderr=stderr,
    ) as process:
        try:
            output, errors = process.communicate(timeout=bounds.seconds)
        except subprocess.TimeoutExpired as late:
            end_group(process)
            raise TimedOutError(_text(late.stdout) + _text(late.stderr)) from late
        return Ended(process.returncode, _text(output), _text(errors))


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill `process` and all that it started, reap it, and close its pipes. May be called again.

    It must lead its process group, like a process from `guarded`.
    """
    kill_group(process)
    if process.returncode is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_REAP_S)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            # What a dead process never took cannot be flushed.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to `process`, which must lead its process group, and to all that it started."""
    # Until it has been waited for, no other process or group can have its number.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def end_children() -> None:
    """Kill what this process has started in the one way, from a thread that knows none of it.

    Whoever waits for these processes sees them end. Others, such as those of multiprocessing, lead
    no session and are left alone.
    """
    # Only here: nobody else needs it, and each process of the bench would load it.
    import psutil

    own = os.getsid(0)
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children():
            with contextlib.suppress(OSError):
                if os.getsid(child.pid) != own:
                    os.killpg(child.pid, signal.SIGKILL)


def wait_for_status(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit status of `process` (negative: a signal); None if it still runs after `seconds`.

    It is not reaped, so that no other process or group can get its number.
    """
    deadline = time.monotonic() + seconds
    while (status := _status(process)) is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return status


def _status(process: subprocess.Popen[bytes]) -> int | None:
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def bound_memory(process: subprocess.Popen[bytes], memory_bytes: int | None) -> int | None:
    """Let `process`, and what it starts from now on, write at most `memory_bytes` each.

    Returns the bound, which is this process's own (`ulimit -d`) if that is lower.
    """
    if memory_bytes is None:
        return None
    _, ours = resource.getrlimit(resource.RLIMIT_DATA)
    bound = _lower(memory_bytes, ours)
    # A process that has already ended needs no limits.
    with contextlib.suppress(ProcessLookupError):
        _, most = resource.prlimit(process.pid, resource.RLIMIT_DATA)
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (_lower(bound, most), most))
    return bound


def _lower(value: int, limit: int) -> int:
    return value if limit == resource.RLIM_INFINITY else min(value, limit)


def memory_bound(process: subprocess.Popen[bytes]) -> int | None:
    """What `process` may write, in bytes; None = without bound. It may have ended, unreaped."""
    soft, _ = resource.prlimit(process.pid, resource.RLIMIT_DATA)
    return None if soft == resource.RLIM_INFINITY else soft


def ran_out_of_memory(words: str) -> bool:
    """Whether a failed process said that it ran out of memory."""
    return any(mark in words for mark in _OUT_OF_MEMORY)


def memory_words(memory_bytes: int) -> str:
    """A bound on memory in words: `4,096 MiB`."""
    return f"{memory_bytes / MIB:,.0f} MiB"


def ended_words(status: int) -> str:
    """An exit status in words: `ended with SIGABRT`, `ended with exit status 3`."""
    if status < 0:
        return f"ended with {signal_name(-status)}"
    return f"ended with exit status {status}"


def signal_name(number: int) -> str:
    """`SIGSEGV` for 11; for a number without a name, `signal 99`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end_all(process: subprocess.Popen[bytes], ours: int) -> None:
    """End the group of `process`, and wait until nothing of it runs.

    `ours` is our end of the pipe whose other end only the group holds. A killed process may still
    be in the middle of a write, or returning a lot of memory, when its leader is already gone.
    """
    end_group(process)
    if process.returncode == -signal.SIGKILL:
        hung_up = select.poll()
        hung_up.register(ours, 0)
        hung_up.poll(1000 * _REAP_S)


@contextlib.contextmanager
def _closed_afterwards(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def _end_at_hang_up(watched: int, group: int) -> None:
    """Let the kernel kill the process group when the other end of the pipe `watched` closes.

    Signal-driven I/O, see fcntl(2): the group owns the open file, which it has inherited, and
    nothing is ever written to the pipe. (PR_SET_PDEATHSIG would end the process with the *thread*
    that started it, and would not reach what the process has started.)
    """
    fcntl.fcntl(watched, fcntl.F_SETOWN, -group)
    fcntl.fcntl(watched, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(watched, fcntl.F_GETFL)
    fcntl.fcntl(watched, fcntl.F_SETFL, flags | os.O_ASYNC)


def _text(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace")
