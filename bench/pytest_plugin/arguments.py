"""What the command line of `bench run` means to pytest.

The suites are where the bench is installed, and the user is somewhere else. So all suites are meant
where the user names no test, and `tests/regression`, as it stands in the ids of tests, is below the
bench's own directory.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.main_job import SUITES_DIRECTORY
from bench.core.own_names import ROOT

__all__ = ["tests_meant", "wants_workers"]


def tests_meant(named: Sequence[str]) -> list[str]:
    """The tests that pytest is to run, if the user has `named` these. The result is never empty."""
    return [_packaged(test) for test in named] or [str(SUITES_DIRECTORY)]


def wants_workers(named: Sequence[str]) -> bool:
    """Whether it pays to start workers: not for tests that are named one by one."""
    return not any("::" in test for test in named)


def _packaged(test: str) -> str:
    path = ROOT / test.partition("::")[0]
    inside = path == SUITES_DIRECTORY or SUITES_DIRECTORY in path.parents
    return str(ROOT / test) if inside and path.exists() else test
