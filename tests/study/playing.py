"""Playing the cases of the study: each in a copy of its project, several at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.study.case import Case, Harmless, Regression
from tests.study.project import Project

__all__ = ["Played", "play"]

_MAKERS = {"files": Project.of_files, "trained": Project.of_training}


@dataclass(frozen=True)
class Played:
    """What the bench said of a case."""

    case: Case
    #: The reason of the right alarm, or what improved; empty if the bench was wrong.
    told: str
    #: Why the bench was wrong; empty if it was not.
    fault: str = ""


def play(cases: Sequence[Case], directory: Path, *, processes: int) -> Iterator[Played]:
    """Play `cases` in `directory`, and give them in their order. The projects share a cache."""
    projects = {}
    for name in dict.fromkeys(case.project for case in cases):
        project = _MAKERS[name](directory / name, directory / "cache")
        accepted = project.accept()
        assert accepted.run.returncode == 0, accepted.run.output
        assert not accepted.alarms
        projects[name] = project

    def played(case: Case) -> Played:
        place = directory / "cases" / re.sub(r"\W+", "_", case.name)
        try:
            project = projects[case.project].copy(place)
            case.change(project)
            return Played(case, told(case, project))
        except AssertionError as error:
            return Played(case, "", str(error))

    with ThreadPoolExecutor(processes) as pool:
        yield from pool.map(played, cases)


def told(case: Case, project: Project) -> str:
    """Play one case. Raises AssertionError if the bench is wrong about it."""
    assert isinstance(case, Regression | Harmless)
    return case.told(project.play())
