"""Which verdicts make a run fail: fewer at a desk, where baselines are made, than in CI. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.records.record import Status, UnmeasuredRecord, Verdict

__all__ = ["Policy"]

_ALWAYS = frozenset({Status.FAIL, Status.INCOMPLETE})
#: Nobody looks at what CI did not judge.
_UNJUDGED = frozenset({Status.NO_BASELINE, Status.UNAVAILABLE})


@dataclass(frozen=True)
class Policy:
    """The statuses that fail."""

    failing: frozenset[Status]

    @classmethod
    def at_a_desk(cls, improvement: str = "report") -> Policy:
        """A person looks at the report. `improvement` is that of `[baselines]`."""
        return cls(_ALWAYS | ({Status.IMPROVED} if improvement == "fail" else set()))

    @classmethod
    def in_ci(cls, improvement: str = "report") -> Policy:
        """What was not judged fails too."""
        return cls(cls.at_a_desk(improvement).failing | _UNJUDGED)

    def applied(self, verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
        """The verdicts, each with whether it fails."""
        return tuple(
            one if one.fails is (fails := self._fails(one)) else _failing(one, fails)
            for one in verdicts
        )

    def applied_to(self, unmeasured: UnmeasuredRecord) -> UnmeasuredRecord:
        """The same for a cell that could not be measured."""
        return unmeasured.model_copy(update={"fails": unmeasured.status in self.failing})

    def _fails(self, verdict: Verdict) -> bool:
        # A figure that the target never gives was never promised; a lost one is a FAIL already.
        foreseen = verdict.status is Status.UNAVAILABLE and verdict.foreseen
        return verdict.status in self.failing and not foreseen


def _failing(verdict: Verdict, fails: bool) -> Verdict:
    return verdict.model_copy(update={"fails": fails})
