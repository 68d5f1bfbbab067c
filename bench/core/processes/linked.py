"""Starting Python of ours that talks with us over a connection, and has a log.

Its last argument is the file descriptor of its end of the connection, for
`multiprocessing.connection.Connection`. Its output goes to a log that leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO

from bench.core.processes.running import ended_words, guarded, wait_for_status

__all__ = ["Linked", "linked"]

#: How much of the log's end is told of a process that fails.
_TAIL_BYTES = 8000
_TAIL_LINES = 20


@dataclass(frozen=True)
class Linked:
    """A started process."""

    process: subprocess.Popen[bytes]
    connection: Connection
    log: IO[bytes]

    def words(self, most: int = _TAIL_BYTES) -> str:
        """The last lines of its log, of at most `most` bytes."""
        handle = self.log.fileno()
        size = os.fstat(handle).st_size
        start = max(0, size - most)
        text = os.pread(handle, size - start, start).decode("utf-8", "replace").strip()
        return "\n".join(text.splitlines()[-_TAIL_LINES:])

    def how_it_ended(self, seconds: float) -> str:
        """Why it says no more, such as `ended with SIGABRT`; it gets `seconds` to end."""
        status = wait_for_status(self.process, seconds)
        return "closed its connection" if status is None else ended_words(status)


@contextlib.contextmanager
def linked(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> Iterator[Linked]:
    """The process of `command`, to which its last argument is added; it ends with the block.

    `environment` adds to ours. Raises `OSError` if it cannot be started.
    """
    with contextlib.ExitStack() as life:
        log = life.enter_context(tempfile.TemporaryFile())
        ours, theirs = Pipe()
        life.enter_context(ours)
        with theirs:
            process = life.enter_context(
                guarded(
                    [*command, str(theirs.fileno())],
                    environment={**os.environ, **(environment or {})},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    keep_open=[theirs.fileno()],
                )
            )
        yield Linked(process, ours, log)
