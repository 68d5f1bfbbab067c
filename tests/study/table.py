"""The page of the study: `docs/study.md`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.study.case import Case, Harmless, Regression
from tests.study.playing import Played

__all__ = ["PAGE", "names_on_the_page", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "study.md"

_HEAD = """# The study: seeded regressions and harmless changes

Does the bench catch what it should, does it name the right cause, and is it silent otherwise?
`make study` builds two projects: one of model files, and one that trains every variant of the
study. It accepts their figures, seeds one change at a time into a copy, and runs the bench in CI
mode. It fails if a regression is not caught by the verdict that should catch it with the cause that
it has, or if a harmless change alarms. Otherwise it writes this page. `make test` plays a sample
and checks that the page lists all cases.

Neither project has a limit, so every alarm below comes from an accepted figure.

## {regressions} regressions

| Change | Caught by | Cause as told |
| --- | --- | --- |
{caught}

## {harmless} harmless changes

| Change | Alarms | Reported as improved |
| --- | --- | --- |
{silent}
"""
_LONGEST = 160
#: The beginnings of what follows a cause.
_MORE = "layers|cycles that wait|what changed with it|estimate"


def page(played: Sequence[Played]) -> str:
    """The whole page; every case of `played` ended as it must."""
    caught = [_caught(one.case, one.told) for one in played if isinstance(one.case, Regression)]
    silent = [_silent(one.case, one.told) for one in played if isinstance(one.case, Harmless)]
    return _HEAD.format(
        regressions=len(caught),
        harmless=len(silent),
        caught="\n".join(caught),
        silent="\n".join(silent),
    )


def names_on_the_page(text: str) -> set[str]:
    """The cases that a page lists."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return {row.split(" | ")[0].removeprefix("| ") for row in rows} - {"Change", "---"}


def _caught(case: Regression, told: str) -> str:
    return f"| {case.name} | `{case.metric}` {case.status.value.upper()} | {_cause(told)} |"


def _silent(case: Case, told: str) -> str:
    return f"| {case.name} | none | {told.removeprefix('improved: ')} |"


def _cause(told: str) -> str:
    """The part of a reason that tells the cause, without what is different in every run."""
    cause = re.search(rf"cause: (.*?)(?:; (?:{_MORE})\b.*)?$", told)
    words = cause[1] if cause else told
    words = re.sub(r"[0-9a-f]{12}", "…", words)
    words = re.sub(r"\S*/(\S+\.toml)", r"\1", words)
    return words if len(words) <= _LONGEST else words[:_LONGEST].rsplit(" ", 1)[0] + " …"
