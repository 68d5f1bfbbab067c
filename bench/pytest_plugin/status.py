"""The exit status of a run: pytest's, but for who wants to know whether to try again."""

from __future__ import annotations

import pytest

from bench.report.ending import Ending, ending_of
from bench.report.run_view import RunView

__all__ = ["exit_status"]

#: With any other status pytest itself did not come to the end of the tests.
_CAME_TO_AN_END = frozenset({int(pytest.ExitCode.OK), int(pytest.ExitCode.TESTS_FAILED)})


def exit_status(before: int, view: RunView, *, missing: bool, others_failed: bool) -> int:
    """The status of a run that pytest would end with `before`.

    Args:
        before: pytest's own status.
        view: what the run found; empty if that could not be read.
        missing: whether a report could not be written.
        others_failed: whether a test failed that is none of the bench's.
    """
    if before == Ending.INFRASTRUCTURE:
        # The history that the user asked for was not written.
        before, missing = pytest.ExitCode.OK, True
    if before not in _CAME_TO_AN_END:
        return before
    ending = ending_of(view.cases)
    if others_failed or (ending is Ending.GREEN and before == pytest.ExitCode.TESTS_FAILED):
        return Ending.VERDICT
    if ending is Ending.GREEN and (missing or not view.records):
        # A run without a figure has judged nothing.
        return Ending.INFRASTRUCTURE
    return ending
