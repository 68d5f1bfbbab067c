"""The cases of the study: a change to a project, and what the bench must say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.records.record import Status
from tests.study.project import Outcome, Project

__all__ = ["Case", "Harmless", "Regression"]


@dataclass(frozen=True)
class Case:
    """A change to a project."""

    #: In a few words; unique.
    name: str
    project: Literal["files", "trained"]
    change: Callable[[Project], None]


@dataclass(frozen=True)
class Regression(Case):
    """A change for the worse. One of the alarms must be the right one, with the right cause."""

    #: The metric whose verdict must fail.
    metric: str
    #: What its reason must say.
    cause: str
    status: Status = Status.FAIL

    def told(self, outcome: Outcome) -> str:
        """The reason of the right alarm. Raises AssertionError if there is none."""
        of_metric = [a for a in outcome.alarms if a.metric == self.metric]
        right = [a for a in of_metric if a.status is self.status and self.cause in a.reason]
        assert outcome.red, f"{self.name}: green\n{outcome.run.output[-3000:]}"
        assert right, (
            f"{self.name}: no {self.status.value} of {self.metric} with {self.cause!r} among "
            f"{sorted({(a.metric, a.status.value) for a in outcome.alarms})}: "
            f"{[a.reason for a in of_metric][:2]}\n{outcome.run.output[-1500:]}"
        )
        return right[0].reason


@dataclass(frozen=True)
class Harmless(Case):
    """A change that makes nothing worse."""

    def told(self, outcome: Outcome) -> str:
        """What improved by it, in words. Raises AssertionError if anything alarms."""
        assert not outcome.red, (
            f"{self.name}: red\n{[(a.metric, a.reason) for a in outcome.alarms][:5]}\n"
            f"{outcome.run.output[-3000:]}"
        )
        assert not outcome.alarms, (self.name, outcome.alarms)
        return f"improved: {', '.join(sorted(outcome.improved))}" if outcome.improved else "nothing"
