"""A board's process, seen from the bench."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from bench.core.errors import BenchError
from bench.core.processes import ended_words, guarded, wait_for_status
from bench.core.processes.children import python_command
from targets.mps3.errors import DriverLostError
from targets.mps3.pool import driver
from targets.mps3.pool.messages import Ended, Order, Said, Share
from targets.settings.mps3 import Mps3Settings

__all__ = ["BoardProcess"]

_PROGRAM = python_command(f"from {driver.__name__} import main\nmain()")
_TAIL_BYTES = 2000
#: Seconds that a process may take to end after it has closed its connection.
_END_S = 5.0


class BoardProcess:
    """Visits one board once. `close` ends it with everything it started."""

    def __init__(self, name: str, settings: Mps3Settings, logs: Path) -> None:
        """Raises `DriverLostError` if it cannot be started."""
        self._name = name
        self._stopping = False
        try:
            with contextlib.ExitStack() as life:
                self._log: IO[bytes] = life.enter_context(tempfile.TemporaryFile())
                self.connection, theirs = Pipe()
                life.enter_context(self.connection)
                with theirs:
                    self._process = life.enter_context(
                        guarded(
                            [*_PROGRAM, str(theirs.fileno())],
                            stdout=self._log,
                            stderr=subprocess.STDOUT,
                            keep_open=[theirs.fileno()],
                        )
                    )
                self.connection.send(Order(settings, logs, name))
                self._life = life.pop_all()
        except OSError as error:
            raise DriverLostError(
                f"the process of board {name} cannot be started: {error}"
            ) from error

    connection: Connection

    def receive(self) -> Said:
        """The next message; `Ended` when the process has died."""
        try:
            said: Said = self.connection.recv()
        except (EOFError, OSError):
            return Ended(self._died())
        return said

    def give(self, share: Share) -> None:
        """The answer to `Ready`. A process that died meanwhile is noticed by `receive`."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(share)

    def stop(self) -> None:
        """Let it restore the card, release the board and end; it is not waited for."""
        if not self._stopping:
            self._stopping = True
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def await_end(self, deadline: float) -> None:
        """Wait until it has ended, or until `deadline` of the monotonic clock."""
        # What it still says would fill the connection, and it would wait for a reader.
        while (left := deadline - time.monotonic()) > 0:
            if not self.connection.poll(left):
                return
            try:
                self.connection.recv_bytes()
            except (EOFError, OSError):
                break
        wait_for_status(self._process, max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """End it at once. May be called again."""
        self._life.close()

    def _died(self) -> BenchError | None:
        if self._stopping:
            return None
        status = wait_for_status(self._process, _END_S)
        how = "closed its connection" if status is None else ended_words(status)
        handle = self._log.fileno()
        size = os.fstat(handle).st_size
        start = max(0, size - _TAIL_BYTES)
        words = os.pread(handle, size - start, start).decode("utf-8", "replace").strip()
        return DriverLostError(
            f"the process of board {self._name} {how}" + (f":\n{words}" if words else ""),
            cure="run again; if it happens again, it is a mistake in the bench",
        )
