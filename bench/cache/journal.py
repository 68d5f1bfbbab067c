"""The journal: one line for every build, for people and for counting. Not the truth.

The truth is which entries exist. A process killed between publishing and noting leaves an entry
without its line, and a line stays when its entry is removed.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

__all__ = ["BuildEvent", "append_event", "read_events"]


class BuildEvent(BaseModel):
    """One build: what, when it was published (UTC), by whom, and seconds of work."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    time: AwareDatetime
    kind: str
    digest: str
    seconds: float
    pid: int
    host: str


def append_event(journal: Path, event: BuildEvent) -> None:
    """Append one line by one write, so that lines of several processes do not mix.

    (`O_APPEND` makes finding the end and writing one step on local file systems; on NFS two
    hosts may overwrite each other's line, which costs a line of log.) Raises `OSError`.
    """
    line = event.model_dump_json().encode() + b"\n"
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read_events(journal: Path) -> list[BuildEvent]:
    """All builds noted, oldest first; torn lines (a kill, a full disk) are passed over.

    Raises `OSError` where the journal exists and cannot be read.
    """
    try:
        lines = journal.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    events = []
    for line in lines:
        try:
            events.append(BuildEvent.model_validate_json(line))
        except ValidationError:
            continue  # torn: nothing else writes here, and a log line is all that is lost
    return events
