"""A process that is kept to answer many requests: how it is started, used and ended.

Starting Python and importing native code takes longer than most of the work, so such a process
serves many requests. It is replaced when it has died, and ended when a conversation with it goes
wrong, so an answer is never taken for the answer to another request.

The process is started as `bench.core.processes.linked` says, and ends with the connection.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from multiprocessing.connection import Connection

from bench.core.processes.closing import Closing
from bench.core.processes.linked import Linked, linked
from bench.core.processes.running import (
    bound_memory,
    ended_words,
    kill_group,
    memory_bound,
    memory_words,
    ran_out_of_memory,
    wait_for_status,
)

__all__ = ["Conversation", "End", "LostError", "Server"]

#: Seconds that a process may take to end after it has closed its connection.
_END_S = 1.0
#: Signals by which others end a process; its own faults give other signals.
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})


class End(Enum):
    """Why a server gave no answer."""

    #: Its own fault: a crash or an exit.
    ITSELF = "itself"
    #: It wanted more memory than it may have.
    MEMORY = "memory"
    #: It was ended here because its time was over.
    TIME = "time"
    #: Somebody else ended it or took its memory, which says nothing about its work.
    OUTSIDE = "outside"


class LostError(Exception):
    """A server gave no answer.

    `how` says why without a subject, such as `ended with SIGABRT`; `words` is the end of its log.
    """

    def __init__(self, end: End, how: str, words: str) -> None:
        super().__init__(how)
        self.end = end
        self.how = how
        self.words = words


class Server(Closing):
    """A child that answers requests, started at the first request. For one thread at a time.

    Use as a context manager; leaving it ends the process.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> None:
        """`command` is the program without its last argument; `environment` adds to ours."""
        self._command = tuple(command)
        self._environment = dict(environment or {})
        self._life = contextlib.ExitStack()
        self._running: Linked | None = None

    @property
    def pid(self) -> int | None:
        """The process, or None while there is none."""
        return self._running.process.pid if self._running else None

    def close(self) -> None:
        """End the process, if there is one. May be called again."""
        self._running = None
        self._life.close()

    def kill(self) -> None:
        """End the process from another thread: a conversation there raises `LostError`."""
        running = self._running
        if running is not None:
            kill_group(running.process)

    @contextlib.contextmanager
    def conversation(self, memory_bytes: int | None) -> Iterator[Conversation]:
        """One request and its answers; the process may write `memory_bytes` of memory meanwhile.

        Any exception that leaves the conversation ends the process.
        """
        try:
            running = self._running or self._start()
            yield Conversation(running, _begun(running, memory_bytes))
        except BaseException:
            self.close()
            raise

    def _start(self) -> Linked:
        try:
            with contextlib.ExitStack() as life:
                self._running = life.enter_context(
                    linked(self._command, environment=self._environment)
                )
                self._life = life.pop_all()
        except OSError as error:
            how = f"cannot be started: {error.strerror or error}"
            raise LostError(End.OUTSIDE, how, "") from error
        return self._running


class Conversation:
    """The messages, as bytes, from a request to its last answer."""

    def __init__(self, running: Linked, memory_bytes: int | None) -> None:
        self._running = running
        self._memory_bytes = memory_bytes

    @property
    def words(self) -> str:
        """The last lines the server has printed since the conversation began."""
        return self._running.words()

    @property
    def is_starved(self) -> bool:
        """Whether the server may have less memory than it was given, by somebody else's doing."""
        bound = memory_bound(self._running.process)
        given = self._memory_bytes
        return bound is not None and given is not None and bound < given

    def send(self, message: bytes, seconds: float) -> None:
        """Send `message`. Raises `LostError` when it is not taken within `seconds`."""
        connection = self._running.connection
        _let_wait(connection, seconds)
        try:
            connection.send_bytes(message)
        except BlockingIOError as error:
            raise self._late() from error
        except OSError as error:
            raise self._lost() from error

    def receive(self, seconds: float) -> bytes:
        """The next message. Raises `LostError` when there is none within `seconds`."""
        connection = self._running.connection
        # For a message that begins and does not continue.
        _let_wait(connection, seconds)
        try:
            if not connection.poll(max(0.0, seconds)):
                raise self._late()
            return connection.recv_bytes()
        except BlockingIOError as error:
            raise self._late() from error
        except (EOFError, OSError) as error:
            raise self._lost() from error

    def _late(self) -> LostError:
        return LostError(End.TIME, "did not answer in time and was ended", self.words)

    def _lost(self) -> LostError:
        status = wait_for_status(self._running.process, _END_S)
        if status is None:
            return LostError(End.ITSELF, "closed its connection and was ended", self.words)
        words, how = self.words, ended_words(status)
        if self.is_starved:
            return LostError(End.OUTSIDE, f"{how}, with less memory than the bench gave it", words)
        if self._memory_bytes is not None and ran_out_of_memory(words):
            most = memory_words(self._memory_bytes)
            return LostError(End.MEMORY, f"wanted more memory than the {most} it may have", words)
        if -status in _FROM_OUTSIDE:
            return LostError(End.OUTSIDE, how, words)
        return LostError(End.ITSELF, how, words)


def _begun(running: Linked, memory_bytes: int | None) -> int | None:
    """Bound its memory and start its log again; returns the bound."""
    # The position is the process's as well.
    running.log.seek(0)
    running.log.truncate()
    return bound_memory(running.process, memory_bytes)


def _let_wait(connection: Connection, seconds: float) -> None:
    """Let no single read or write on `connection` wait longer than `seconds`."""
    whole = int(max(0.0, seconds))
    # Zero would mean forever.
    time = struct.pack("ll", whole, max(1, round((seconds - whole) * 1e6)))
    with socket.socket(fileno=os.dup(connection.fileno())) as handle:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, time)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, time)
