"""Whether a target can work on this machine: findings, each with its cure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from bench.core.errors import BenchError
from targets.settings import TargetSettings

__all__ = ["Checkup", "Finding", "State", "found", "missing"]


class State(str, Enum):
    """How a check ended."""

    OK = "ok"
    #: Worth knowing; nothing is missing.
    NOTE = "note"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    what: str
    state: State
    text: str
    #: What to do if something is missing.
    cure: str = ""


class Checkup(Protocol):
    """Checks everything that one target needs. Changes nothing unless `boot` allows a device start.

    `logs` is a directory for the output of devices.
    """

    def __call__(self, settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
        """Yields findings as they are made; raises no error of the target."""
        ...


def found(what: str, text: str) -> Finding:
    """All is well."""
    return Finding(what, State.OK, text)


def missing(what: str, error: BenchError) -> Finding:
    """An error as a finding."""
    return Finding(what, State.MISSING, error.what, error.cure)
