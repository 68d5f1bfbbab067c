"""The exit status tells a verdict, which a retry repeats, from an infrastructure that failed."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.errors import TargetError
from bench.pytest_plugin.status import exit_status
from bench.records.cases import Case
from bench.records.record import Status
from bench.report.cases import CaseView
from bench.report.ending import Ending, ending_of
from bench.report.run_view import RunView, read_run
from targets.jobs.errors import JobError
from tests.support.report_runs import mixed_run

CELL = "net-base-u55_128-shared_sram-{}"


def case(
    status: Status, error: str = "", target: str = "sim", suite: str = "npu_cycles"
) -> CaseView:
    cell = CELL.format(target)
    made = Case(suite=suite, subject=cell, nodeid=f"t.py::{suite}[{cell}]", cells=(cell,))
    return CaseView(made, status, "", "", error, fails=status not in (Status.PASS, Status.IMPROVED))


PASSED = case(Status.PASS)
FAILED = case(Status.FAIL)
DIED = case(Status.INCOMPLETE, "WorkerDied")
CONSEQUENCE = case(Status.INCOMPLETE, "Incomplete", suite="mac_sweep")


@pytest.mark.parametrize(
    "error",
    [
        *("WorkerDied", "ProcessLost", "NotJudged", "NoRecord", "NotReported", "UnreadableRecord"),
        "NotStored",
        *("DownloadError", "CacheError", "PrerequisiteError", "TargetUnavailableError"),
    ],
)
def test_what_another_try_may_mend_is_infrastructure(error: str) -> None:
    lost = case(Status.INCOMPLETE, error)
    assert ending_of([PASSED, lost]) is Ending.INFRASTRUCTURE
    # What cannot be judged because of it adds nothing.
    assert ending_of([CONSEQUENCE, lost]) is Ending.INFRASTRUCTURE
    # A verdict that failed fails again, whatever becomes of the rest.
    assert ending_of([lost, FAILED]) is Ending.VERDICT


@pytest.mark.parametrize("error", ["BuildError", "CompilerError", "ModelError", "TestFailed"])
def test_what_fails_again_each_time_is_a_verdict(error: str) -> None:
    assert ending_of([PASSED, DIED, case(Status.INCOMPLETE, error)]) is Ending.VERDICT


@pytest.mark.parametrize("package", ["fvp", "jobs", "mps3"])
def test_every_error_of_a_device_is_known_by_its_name(package: str) -> None:
    errors = importlib.import_module(f"targets.{package}.errors")
    names = [
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, TargetError)
    ]
    assert len(names) > 1
    for name in names:
        # What cannot be put into a job is the model's fault.
        each_time = issubclass(getattr(errors, name), JobError)
        ending = Ending.VERDICT if each_time else Ending.INFRASTRUCTURE
        assert ending_of([PASSED, case(Status.INCOMPLETE, name, "fvp")]) is ending, name


def test_a_device_may_work_the_next_time_and_a_calculation_may_not() -> None:
    for target, ending in (
        *(("fvp", Ending.INFRASTRUCTURE), ("mps3", Ending.INFRASTRUCTURE)),
        *(("sim", Ending.VERDICT), ("vela", Ending.VERDICT)),
    ):
        assert ending_of([case(Status.INCOMPLETE, "TargetError", target)]) is ending


def test_in_ci_what_was_not_judged_is_a_verdict_unless_the_target_is_missing() -> None:
    assert ending_of([case(Status.NO_BASELINE)]) is Ending.VERDICT
    assert ending_of([case(Status.UNAVAILABLE)]) is Ending.VERDICT
    absent = case(Status.UNAVAILABLE, "TargetUnavailableError", "fvp")
    assert ending_of([absent, case(Status.UNAVAILABLE)]) is Ending.INFRASTRUCTURE
    assert ending_of([CONSEQUENCE]) is Ending.VERDICT
    assert ending_of([PASSED]) is ending_of([]) is Ending.GREEN


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return read_run(mixed_run(tmp_path_factory.mktemp("mixed")))


def status(before: int, view: RunView, *, missing: bool = False, others: bool = False) -> int:
    return exit_status(before, view, missing=missing, others_failed=others)


def test_a_run_never_ends_better_than_pytest_or_its_cases_say(red: RunView) -> None:
    green = replace(red, cases=(PASSED,))
    died = replace(red, cases=(PASSED, DIED))
    assert status(0, green) == 0
    # Interrupted, an internal error, a mistake in the command, no test.
    for before in (2, 3, 4, 5):
        assert status(before, green) == status(before, red) == before
    assert status(0, red) == status(1, red) == 1, "pytest has not seen what the cases tell"
    assert status(1, green) == 1, "pytest has seen a failure that no case tells"
    assert status(1, died) == 75
    assert status(1, died, others=True) == 1, "a test of the user's own has failed"


def test_a_run_without_a_figure_or_a_report_has_no_answer(red: RunView, tmp_path: Path) -> None:
    green = replace(red, cases=(PASSED,))
    assert status(0, replace(green, records=())) == 75
    assert status(0, green, missing=True) == 75
    assert status(0, RunView.empty(), missing=True) == 75
    assert status(1, red, missing=True) == 1
    # A history that is required, and was not written.
    assert status(75, green) == 75
    assert status(75, red) == 1
    # Nobody knows what failed, so nobody is invited to try again.
    assert status(1, RunView.empty(), missing=True) == 1
