"""What the bench and the process of a board say to each other, pickled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.core.errors import BenchError
from targets.protocol import Job, Measurement
from targets.settings.mps3 import Mps3Settings

__all__ = ["Ended", "Order", "Outcome", "Ready", "Said", "Share", "Step"]


@dataclass(frozen=True)
class Order:
    """To the process, first: the board it is for."""

    settings: Mps3Settings
    logs: Path
    name: str


#: To the process, for each `Ready`: the numbered jobs; none if the board is no longer needed.
Share: TypeAlias = list[tuple[int, Job]]


@dataclass(frozen=True)
class Ready:
    """The board is ours and wants work."""


@dataclass(frozen=True)
class Step:
    """What is being done with the board; "" when all is done."""

    text: str


@dataclass(frozen=True)
class Outcome:
    """A job is done."""

    number: int
    outcome: Measurement | BenchError


@dataclass(frozen=True)
class Ended:
    """The last message: the visit is over, by itself or because of an error."""

    error: BenchError | None


Said: TypeAlias = Ready | Step | Outcome | Ended
