"""A board's process, seen from the bench."""

from __future__ import annotations

import contextlib
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.processes import wait_for_status
from bench.core.processes.children import python_command
from bench.core.processes.linked import linked
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
                self._child = life.enter_context(linked(_PROGRAM))
                self.connection.send(Order(settings, logs, name))
                self._life = life.pop_all()
        except OSError as error:
            raise DriverLostError(
                f"the process of board {name} cannot be started: {error}"
            ) from error

    @property
    def connection(self) -> Connection:
        """To wait for."""
        return self._child.connection

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
                self._child.process.send_signal(signal.SIGTERM)

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
        wait_for_status(self._child.process, max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """End it at once. May be called again."""
        self._life.close()

    def _died(self) -> BenchError | None:
        if self._stopping:
            return None
        how, words = self._child.how_it_ended(_END_S), self._child.words(_TAIL_BYTES)
        return DriverLostError(
            f"the process of board {self._name} {how}" + (f":\n{words}" if words else ""),
            cure="run again; if it happens again, it is a mistake in the bench",
        )
