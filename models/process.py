"""The builder process as its client holds it: start, lines in both directions, end, log."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Sequence

from bench.core.children import python_command
from bench.core.errors import BuildError

__all__ = ["WORKER_COMMAND", "WorkerProcess"]

#: Runs the builder with the client's own Python, so with the same libraries.
WORKER_COMMAND = tuple(python_command("from models.worker import main\nmain()"))

#: Seconds an idle builder has to end after its standard input is closed.
_CLOSE_S = 5.0
#: How much of the log's end is shown when the builder fails.
_TAIL_BYTES = 8000
_TAIL_LINES = 20
#: No message comes near this; without a bound, nonsense without line ends would fill the memory.
_LONGEST_LINE = 10_000_000


class WorkerProcess:
    """A running builder. Start it by making one; end it with `close` or `kill`.

    It is a session of its own, so that Ctrl-C at the terminal reaches the client alone. Its log
    is an unnamed file, which leaves nothing behind even when client and process are killed.
    """

    def __init__(self, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in close() and kill()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # The hash seed orders sets, and so, perhaps, what a library writes.
            env={**os.environ, "PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin = self._process.stdin
        self._stdout = self._process.stdout
        self._pending = bytearray()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Hand `line` to the process.

        Raises:
            BuildError: the process has ended.
        """
        try:
            self._stdin.write(line)
            self._stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def receive(self, deadline: float) -> bytes:
        """The next line the process sends, before `time.monotonic()` reaches `deadline`.

        Raises:
            BuildError: the process has ended, or there is no line in time.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise BuildError(f"it did not finish in time and was killed{self.log_tail()}")
                chunk = os.read(self._stdout.fileno(), 65536)
                if not chunk:
                    raise self._ended()
                self._pending += chunk
                if len(self._pending) > _LONGEST_LINE:
                    raise BuildError(f"it sent an endless line and was killed{self.log_tail()}")
        line, _, rest = bytes(self._pending).partition(b"\n")
        self._pending = bytearray(rest)
        return line

    def log_tail(self) -> str:
        """The last lines the process logged, as a paragraph to append to an error's text."""
        # pread: the file's position is shared with the process, which writes at it.
        handle = self._log.fileno()
        size = os.fstat(handle).st_size
        start = max(0, size - _TAIL_BYTES)
        text = os.pread(handle, size - start, start).decode(errors="replace").strip()
        if not text:
            return "\n  (the builder's log is empty)"
        lines = text.splitlines()[-_TAIL_LINES:]
        return "\n  the end of the builder's log:\n" + "\n".join(f"    | {line}" for line in lines)

    def close(self) -> None:
        """End the process by closing its standard input; kill it if that does not help."""
        # Flushing what a dead process never took fails; it is on its way out all the same.
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._reap()

    def _reap(self) -> None:
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()
        self._log.close()

    def _ended(self) -> BuildError:
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
        cure = "if memory ran out, run fewer workers at a time" if code == -9 else ""
        return BuildError(f"the builder process {how}{self.log_tail()}", cure=cure)
