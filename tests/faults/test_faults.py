"""A run to which something happens ends, is red unless its work was done, and loses nothing.

This is CI's sample of the fault matrix; `make faults` tries all of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.injection import Clean, clean_run, inject
from tests.faults.matrix import CASES, SAMPLE, Case, Fault, Moment, Victim

pytestmark = pytest.mark.slow

#: Seconds a stopped process stays stopped here; `make faults` stops it for 60.
_STOP_S = 3.0
_TRIES = 3


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Clean]:
    """By whether something is trained."""
    return {
        trained: clean_run(tmp_path_factory.mktemp("clean"), trained=trained)
        for trained in (False, True)
    }


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.id) for case in SAMPLE],
)
def test_a_run_survives(case: Case, clean: dict[bool, Clean], tmp_path: Path) -> None:
    for attempt in range(_TRIES):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        found = inject(case, directory, clean[case.moment is Moment.TRAIN], _STOP_S)
        assert not found.wrong, "\n".join([*found.wrong, found.output[-3000:]])
        if found.hit:
            return
    pytest.fail(f"in {_TRIES} runs the moment never came")


def test_the_sample_has_each_process_fault_and_moment() -> None:
    assert set(SAMPLE) <= set(CASES)
    assert {case.victim for case in SAMPLE} == set(Victim)
    assert {case.fault for case in SAMPLE} == set(Fault)
    assert {case.moment for case in SAMPLE} == set(Moment)
