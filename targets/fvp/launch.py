"""The port between the target and what starts FVP processes, here or in a container.

A launcher knows one executable. The target gives it the arguments and a private directory that
holds every file they mention. The launcher starts one process, passes on its output as it arrives,
keeps it in a log, and leaves nothing of the process behind when the call ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

__all__ = ["Consumer", "Ending", "Launch", "Launcher", "Limits", "Outcome"]

#: Takes output as it arrives (standard output and error in one stream, cut anywhere) and returns
#: whether it has everything it needs. It must not keep more than that: output may be endless.
Consumer = Callable[[bytes], bool]


@dataclass(frozen=True)
class Limits:
    """What one process may take."""

    #: Seconds of wall time from its start to its end.
    seconds: float
    #: Bytes it may print before it is stopped.
    output_bytes: int = 64 << 20
    #: How many bytes of output are kept in the log: from the beginning, and some from the end.
    log_bytes: int = 16 << 20
    #: Seconds it may continue after the consumer has everything; then it is stopped.
    linger_seconds: float = 5.0
    #: Memory it may write: four times the memories of a Corstone-300, which a model may allocate
    #: completely.
    memory_bytes: int = 16 << 30


@dataclass(frozen=True)
class Launch:
    """One process to run."""

    #: What follows the executable's name. Files are in `directory` and named relative to it.
    arguments: tuple[str, ...]
    #: The working directory, private to this process and writable by it.
    directory: Path
    #: Where its output is kept; the directory exists. It is also written when the run fails.
    log: Path
    limits: Limits


class Ending(Enum):
    """How a process ended."""

    #: By itself.
    EXITED = "exited"
    #: Killed: it ran longer than `Limits.seconds`.
    TIMED_OUT = "timed out"
    #: Killed: it printed more than `Limits.output_bytes`.
    FLOODED = "printed too much"
    #: Killed: after its answer it continued for longer than `Limits.linger_seconds`.
    LINGERED = "did not stop by itself"


@dataclass(frozen=True)
class Outcome:
    """How a process ended, and the beginning and end of its output."""

    ending: Ending
    #: Exit status; negative = number of the signal that ended it; None if it was killed here.
    status: int | None
    seconds: float
    output_bytes: int
    #: The first and the last bytes printed, some KiB each; all of it if it was short.
    head: bytes
    tail: bytes

    @property
    def excerpt(self) -> str:
        """Head and tail as text, with plain line ends."""
        data = self.head + (b"\n...\n" + self.tail if self.tail else b"")
        return data.decode("utf-8", "replace").replace("\r", "")


class Launcher(Protocol):
    """Starts processes of one executable, one at a time. Holds nothing between runs."""

    def identity(self) -> Mapping[str, str]:
        """What it runs, for fingerprints: the hash of the executable or image. No machine paths.

        Raises `PrerequisiteError` when there is nothing to run.
        """
        ...

    def command(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """The whole command line that `run` uses, for messages and records."""
        ...

    def run(self, launch: Launch, consume: Consumer) -> Outcome:
        """Run one process until it ends in any way; see `Ending`.

        When this returns or raises, even on Ctrl-C, no process or container of the run is left and
        the log is complete. An exception of `consume` ends the run and is passed on. Raises
        `PrerequisiteError` when the process cannot be started at all.
        """
        ...
