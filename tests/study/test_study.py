"""The study in short: some of its cases are played, and its page lists all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.harmless import HARMLESS
from tests.study.playing import play
from tests.study.project import Project
from tests.study.regressions import REGRESSIONS
from tests.study.table import PAGE, names_on_the_page

#: A case of each stage of the chain, and harmless ones of each kind. Training takes too long here.
SAMPLE = (
    "labels shuffled",
    "test set cut to five samples, all of them right",
    "weights of a file denser: sparsity 80 -> 40 %",
    "an operator that falls back to the CPU",
    "Vela told to save memory instead of time",
    "slower flash, seen as waiting",
    "memory mode changed in the grid",
    "tensors renamed",
    "grid in another order",
    "blanks and accents in the path",
)


def test_the_study_is_as_large_as_it_says() -> None:
    assert len(REGRESSIONS) >= 30
    assert len(HARMLESS) >= 30
    names = [case.name for case in (*REGRESSIONS, *HARMLESS)]
    assert len(set(names)) == len(names)
    assert names_on_the_page(PAGE.read_text(encoding="utf-8")) == set(names), "run: make study"


@pytest.mark.slow
def test_a_sample_is_caught_with_its_cause_or_does_not_alarm(tmp_path: Path) -> None:
    cases = [case for case in (*REGRESSIONS, *HARMLESS) if case.name in SAMPLE]
    assert len(cases) == len(SAMPLE)
    faults = [one.fault for one in play(cases, tmp_path, processes=1) if one.fault]
    assert not faults, "\n\n".join(faults)


def test_a_change_that_changes_nothing_is_no_regression(tmp_path: Path) -> None:
    """The study itself must be able to fail: the edits are made, and the alarms are looked at."""
    project = Project(tmp_path, tmp_path, "[grid]\n")
    with pytest.raises(ValueError, match="is not there 1 times"):
        project.replace("[vela]", "")
