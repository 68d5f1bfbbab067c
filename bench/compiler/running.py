"""Two ways to run Vela with the same result: a process for each compile, and `VelaServer`.

Neither leaves anything running: not after a timeout, not after Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from bench.compiler import fork_server

__all__ = ["Ended", "TimedOutError", "VelaRunner", "VelaServer", "run_alone"]


@dataclass(frozen=True)
class Ended:
    """How a compile ended: exit status (negative: a signal) and everything Vela printed."""

    status: int
    words: str


class TimedOutError(Exception):
    """A compile was stopped; its argument is what Vela had printed."""


class VelaRunner(Protocol):
    """How Vela's process comes about."""

    def __call__(self, arguments: Sequence[str], work: Path, timeout_s: float) -> Ended:
        """Run Vela with `arguments` in the empty directory `work`.

        Raises `TimedOutError` when it takes longer than `timeout_s` seconds.
        """
        ...


def run_alone(arguments: Sequence[str], work: Path, timeout_s: float) -> Ended:
    """A `VelaRunner`: `python -m ethosu.vela` as a process of its own."""
    with _guarded(
        [sys.executable, "-m", "ethosu.vela", *arguments],
        # `python -m` puts the working directory first on the import path; an empty one
        # cannot shadow Vela's modules.
        cwd=work,
        env={},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill_group(process)
            output, _ = process.communicate()
            raise TimedOutError(_text(output)) from error
    return Ended(process.returncode, _text(output))


class VelaServer:
    """A `VelaRunner` that keeps a process with Vela imported and forks it for each compile.

    Use as a context manager; leaving it ends the process. For one thread at a time. Started at
    the first compile, and again when it had to be killed.
    """

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> VelaServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process, or None while there is none."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the process, if there is one. May be called again."""
        self._process = None
        self._open.close()

    def __call__(self, arguments: Sequence[str], work: Path, timeout_s: float) -> Ended:
        """As `VelaRunner`. A process that dies is replaced by `run_alone`, which says why."""
        words = work / "words"
        order = fork_server.Order(arguments=list(arguments), directory=str(work), words=str(words))
        try:
            status = self._serve(order, time.monotonic() + timeout_s)
        except BaseException as error:
            self.close()
            if isinstance(error, TimedOutError):
                raise TimedOutError(_read(words)) from error
            if isinstance(error, BrokenPipeError | EOFError):
                words.unlink(missing_ok=True)
                return run_alone(arguments, work, timeout_s)
            raise
        said = _read(words)
        words.unlink(missing_ok=True)
        return Ended(status, said)

    def _serve(self, order: fork_server.Order, deadline: float) -> int:
        if self._process is None:
            self._process = self._open.enter_context(_server())
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()
        answer = b""
        while not answer.endswith(b"\n"):
            if not select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimedOutError
            piece = os.read(stdout.fileno(), 64)
            if not piece:
                raise EOFError
            answer += piece
        return int(answer)


def _server() -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    return _guarded(
        [sys.executable, str(Path(fork_server.__file__).resolve())],
        cwd=Path("/"),
        # A fork takes along the thread that forks and no other, so there may be no other.
        env={"OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def _guarded(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: int, stderr: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, which is gone with all it started when this is left."""
    # Ctrl-C must not leave a compile running behind the user's back. One that came between
    # the fork and the `try` below would lose the process, so it has to wait that long.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            # Vela writes its CSV files in the locale's encoding and fails on a tensor name that
            # the locale cannot spell.
            env={**os.environ, "PYTHONUTF8": "1", **env},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield process
    finally:
        _kill_group(process)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # What a dead process never took cannot be flushed.
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # The process leads its own session, so its process group id is its process id; it has not
    # been waited for yet, so the id cannot have been given to anyone else.
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)


def _read(path: Path) -> str:
    try:
        return _text(path.read_bytes())
    except FileNotFoundError:
        return ""


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")
