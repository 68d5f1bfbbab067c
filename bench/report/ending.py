"""How a run ended, for who decides whether to try again. Pure.

A verdict is the answer of a run: the same run would give it again. Where the infrastructure failed
(a worker died, a board did not answer, a download broke off), there is no answer yet, and another
try may give one.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from bench.core.errors import (
    CacheError,
    ClusterError,
    DownloadError,
    PrerequisiteError,
    TargetError,
    TargetUnavailableError,
)
from bench.records.joining import NOT_REPORTED
from bench.records.record import Status
from bench.report.cases import CaseView
from targets.fvp.errors import InfrastructureError, MissingAnswerError
from targets.jobs.errors import AnswerError
from targets.mps3.errors import BoardError, DriverLostError, WrongBoardError
from targets.registry import DEVICES

__all__ = ["Ending", "ending_of"]


class Ending(IntEnum):
    """The exit status."""

    GREEN = 0
    #: Something was judged and failed, or cannot be judged however often it is tried.
    VERDICT = 1
    #: Nothing that was judged failed, but something could not be judged. `EX_TEMPFAIL` of
    #: sysexits.h: "a temporary failure; the user is invited to try again".
    INFRASTRUCTURE = 75


#: Kinds of errors that say nothing about what is tested.
_INFRASTRUCTURE = frozenset(
    {
        *(CacheError.__name__, ClusterError.__name__, DownloadError.__name__),
        *(PrerequisiteError.__name__, TargetUnavailableError.__name__),
        # A process that was killed, a test that did not come to its end, a file that was damaged, a
        # shard that is missing.
        *("ProcessLost", "WorkerDied", "NotJudged", "NoRecord", "UnreadableRecord", NOT_REPORTED),
        # No place for the record.
        "NotStored",
    }
)
#: What a device's failure is called; a record has the name of the class, not the class. What
#: cannot be put into a job fails each time, and is none.
_OF_TARGETS = frozenset(
    one.__name__
    for one in (
        *(TargetError, InfrastructureError, MissingAnswerError, AnswerError),
        *(BoardError, DriverLostError, WrongBoardError),
    )
)
#: What is unjudged because something else is: that decides.
_CONSEQUENCES = frozenset({Status.INCOMPLETE, Status.UNAVAILABLE})


def ending_of(cases: Iterable[CaseView]) -> Ending:
    """How a run with these cases ended."""
    failing = [case for case in cases if case.fails]
    lost = [case for case in failing if _is_lost(case)]
    answered = [case for case in failing if not _is_lost(case) and not _is_consequence(case)]
    if answered:
        return Ending.VERDICT
    if lost:
        return Ending.INFRASTRUCTURE
    # Something is missing, and nothing says that it would be there the next time.
    return Ending.VERDICT if failing else Ending.GREEN


def _is_lost(case: CaseView) -> bool:
    if case.error in _OF_TARGETS:
        # What calculates fails in the same way each time; a device may not.
        return any(target in DEVICES for target in _targets(case))
    return case.error in _INFRASTRUCTURE


def _is_consequence(case: CaseView) -> bool:
    return case.status in _CONSEQUENCES and case.error in ("", "Incomplete")


def _targets(case: CaseView) -> list[str]:
    """The targets of the cells of a case, from their ids, as no record tells."""
    return [parts[4] for cell in case.case.cells if len(parts := cell.split("-")) > 4]
