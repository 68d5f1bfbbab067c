"""The command that makes a judgement again, as verdicts carry it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from bench.judging.suites import suite_of

__all__ = ["Reproduce", "once_a_suite"]

#: Makes the command that repeats the judgement of a metric (or group) for a subject.
Reproduce: TypeAlias = Callable[[str, str], str]


def once_a_suite(reproduce: Reproduce) -> Reproduce:
    """The same, for one subject: the metrics of a suite share its command, which is made once."""
    made: dict[str, str] = {}

    def command(metric: str, subject: str) -> str:
        suite = suite_of(metric)
        if suite not in made:
            made[suite] = reproduce(metric, subject)
        return made[suite]

    return command
