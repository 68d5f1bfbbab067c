"""What stands at the top of a page, in words: green or not, what got worse, what to ship."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bench.records.record import Status
from bench.report.cases import CaseView
from bench.report.run_history import HistoryView
from bench.report.run_view import RunView
from bench.report.view.figures import Change
from bench.report.view.summary import Regression, Summary, regressions, worst_cases

__all__ = ["Green", "Worse", "failing_rows", "green", "group_rows", "tiles", "worse"]

#: What nobody reads to its end is cut; the table of cells has everything.
_FAILING, _GROUPS, _WORSE = 100, 200, 4
_UNKNOWN_CAUSE = "nothing recorded differs"


@dataclass(frozen=True)
class Green:
    """Whether the run is green."""

    headline: str
    lines: tuple[str, ...]


def green(summary: Summary) -> Green:
    """Whether the run is green, in a sentence, and how much of the plan that is about."""
    lines = []
    if summary.measured == summary.planned:
        lines.append(f"All {summary.planned:,} planned cells were measured.")
    else:
        missing = [f"{summary.measured:,} of {summary.planned:,} planned cells were measured"]
        if summary.unavailable:
            missing.append(f"{summary.unavailable:,} have no target here")
        if summary.incomplete:
            missing.append(f"{summary.incomplete:,} could not be measured")
        lines.append(f"{', '.join(missing)}.")
    if summary.skipped:
        lines.append(f"{summary.skipped:,} tests were skipped; the reasons are below.")
    if summary.green:
        tests = "1 test" if summary.passed == 1 else f"{summary.passed:,} tests"
        return Green(f"Green: {tests} passed, none failed.", tuple(lines))
    if not summary.measured:
        lines.insert(0, "A run without a figure has failed.")
    told = f"Red: {summary.failed:,} of {summary.tests:,} tests failed."
    return Green(told if summary.tests else "Red: nothing was judged.", tuple(lines))


def tiles(summary: Summary) -> list[dict[str, str]]:
    """Counts that one looks at first."""
    changes = summary.changes
    regressed = changes[Change.REGRESSED]
    found = [
        ("cells measured", f"{summary.measured:,} / {summary.planned:,}", ""),
        ("tests failed", f"{summary.failed:,}", "bad" if summary.failed else "good"),
        ("cells regressed", f"{regressed:,}", "bad" if regressed else "good"),
        ("improved", f"{changes[Change.IMPROVED]:,}", "good" if changes[Change.IMPROVED] else ""),
        ("unchanged", f"{changes[Change.UNCHANGED]:,}", ""),
    ]
    if changes[Change.NEW]:
        found.append(("not compared", f"{changes[Change.NEW]:,}", ""))
    return [{"name": name, "value": value, "tone": tone} for name, value, tone in found]


@dataclass(frozen=True)
class Worse:
    """What got worse against the accepted figures."""

    headline: str
    groups: list[dict[str, Any]]
    left: int


def worse(view: RunView, history: HistoryView) -> Worse:
    """What got worse, by how much, since when and because of what; else what is known instead."""
    changes = view.summary.changes
    groups = regressions(view.cells, Change.REGRESSED, Change.IMPROVED)
    bad = [one for one in groups if one.change is Change.REGRESSED]
    improved = f"{changes[Change.IMPROVED]:,} cells improved" if changes[Change.IMPROVED] else ""
    if bad:
        cells = changes[Change.REGRESSED]
        headline = f"{cells:,} {'cell' if cells == 1 else 'cells'} regressed"
        headline += f", {improved}." if improved else "."
    elif changes[Change.UNCHANGED] or changes[Change.IMPROVED]:
        headline = f"Nothing. {changes[Change.UNCHANGED]:,} cells are as accepted"
        headline += f", {improved}." if improved else "."
    else:
        headline = "Not known: there are no accepted figures to compare with."
        if view.summary.measured:
            headline += " `bench baseline accept` accepts those of this run."
    shown = (bad or groups)[:_WORSE]
    rows = [{**_row(one), "since": history.since(one.cells, one.metric)} for one in shown]
    return Worse(headline, rows, len(groups) - len(shown))


def group_rows(view: RunView) -> tuple[list[dict[str, Any]], int]:
    """All groups of changes, and how many more there are."""
    groups = regressions(view.cells, Change.REGRESSED, Change.IMPROVED)
    return [_row(one) for one in groups[:_GROUPS]], max(0, len(groups) - _GROUPS)


def _row(one: Regression) -> dict[str, Any]:
    return {
        "change": one.change.value,
        "metric": one.metric,
        "largest": "" if one.largest is None else f"by {one.largest:.1%}",
        "cells": one.cells[:1],
        "more": len(one.cells) - 1,
        "count": len(one.cells),
        "finding": one.finding,
        "reason": one.reason,
        "cause": one.cause or _UNKNOWN_CAUSE,
    }


def failing_rows(
    cases: Iterable[CaseView], cells: Iterable[str]
) -> tuple[list[dict[str, Any]], int]:
    """The tests that fail, worst first, and how many more there are."""
    known = set(cells)
    failing = worst_cases(cases)
    rows = [
        {
            "status": (
                case.status if case.status is not Status.PASS else Status.FAIL
            ).value.upper(),
            "name": case.name,
            "cell": case.case.subject if case.case.subject in known else "",
            "headline": case.headline,
        }
        for case in failing[:_FAILING]
    ]
    return rows, max(0, len(failing) - _FAILING)
