"""The progress of long work.

Workers append events to one file of the run, and the process that owns the terminal follows this
file. So progress needs no channel between processes, and survives a killed worker.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from bench.cache import LockInfo
from bench.core.errors import BenchError

__all__ = [
    "Follower",
    "ProgressEvent",
    "Sink",
    "Task",
    "append_to",
    "device_progress",
    "ignore",
    "noting",
    "waiting",
]

State = Literal["started", "update", "done", "failed"]


@dataclass(frozen=True)
class ProgressEvent:
    """One event of progress. `task` names the work, `kind` its kind (`train`, `compile`)."""

    kind: str
    task: str
    state: State
    text: str
    #: Seconds since the work began.
    seconds: float
    pid: int


_EVENT = TypeAdapter(ProgressEvent)

Sink = Callable[[ProgressEvent], None]


def ignore(event: ProgressEvent) -> None:
    """A sink for callers that show no progress."""


def append_to(path: Path) -> Sink:
    """A sink that appends events to the file at `path`, one JSON line each.

    Lines are far below PIPE_BUF and are written with one call to a file opened for appending, so
    lines of several processes do not mix. The sink raises BenchError when it cannot write.
    """

    def sink(event: ProgressEvent) -> None:
        line = json.dumps(asdict(event)) + "\n"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise BenchError(
                f"{path}: cannot be written: {error.strerror}",
                cure="make room or give access there, or name another place: --bench-results=DIR",
            ) from error

    return sink


class Task:
    """A piece of work in progress; made by `running`."""

    def __init__(self, kind: str, name: str, sink: Sink) -> None:
        self._kind = kind
        self._name = name
        self._sink = sink
        self._start = time.monotonic()

    def say(self, text: str, state: State = "update") -> None:
        """Report `text`."""
        seconds = time.monotonic() - self._start
        self._sink(ProgressEvent(self._kind, self._name, state, text, seconds, os.getpid()))

    @classmethod
    @contextmanager
    def running(cls, kind: str, name: str, sink: Sink) -> Iterator[Task]:
        """Report the start of `name` and how it ended."""
        task = cls(kind, name, sink)
        task.say("", "started")
        try:
            yield task
        except BaseException as error:
            task.say(type(error).__name__, "failed")
            raise
        task.say("", "done")


def waiting(name: str, sink: Sink) -> Callable[[LockInfo], None]:
    """For the cache: report that `name` is being built by somebody else."""

    def on_wait(info: LockInfo) -> None:
        sink(ProgressEvent("wait", name, "update", str(info), info.waited, os.getpid()))

    return on_wait


def device_progress(sink: Sink) -> Callable[[str, str], None]:
    """For targets: report what a device is doing; an empty text ends it."""

    def report(target: str, text: str) -> None:
        state: State = "update" if text else "done"
        sink(ProgressEvent("device", target, state, text, 0.0, os.getpid()))

    return report


def noting(sink: Sink) -> Callable[[str], None]:
    """For the log: report what a person should hear, whatever work is in progress."""

    def note(text: str) -> None:
        sink(ProgressEvent("note", "", "update", text, 0.0, os.getpid()))

    return note


class Follower:
    """Reads the events that were appended to a file since the last call.

    Each process of a run may note the same; a note with the same words comes once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._noted: set[str] = set()

    def new_events(self) -> list[ProgressEvent]:
        """The events since the last call; a line that is still being written waits.

        A line that is not an event (on a full disk, two writers can break each other's) is ignored:
        events say what is being done, not what was found.
        """
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        events = (_event(line) for line in complete.splitlines())
        return [event for event in events if event is not None and self._is_new(event)]

    def _is_new(self, event: ProgressEvent) -> bool:
        if event.kind != "note":
            return True
        is_new = event.text not in self._noted
        self._noted.add(event.text)
        return is_new


def _event(line: bytes) -> ProgressEvent | None:
    try:
        return _EVENT.validate_json(line)
    except ValidationError:
        return None
