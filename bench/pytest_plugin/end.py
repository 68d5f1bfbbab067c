"""What the terminal says when a run has ended: tables that fit, counts, and where everything is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench.records.record import Status
from bench.report.run_view import RunView
from bench.report.table import (
    BRIEF_FROM,
    brief_tables,
    missing_tables,
    render,
    workload_tables,
)
from bench.report.view.figures import Change
from bench.report.view.summary import skips

__all__ = ["end_lines", "end_tables", "shown_path", "terminal_width"]

#: Columns where nobody knows how many there are, as in the log of a CI job.
_UNKNOWN_WIDTH = 170
#: Reasons for what was not judged that are told one by one.
_REASONS = 6


def shown_path(path: Path) -> str:
    """`path` as people are shown it: relative to where they are, if it is below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def terminal_width(terminalreporter: Any) -> int:
    """The columns of the terminal; many where the output goes into a file."""
    if not terminalreporter._tw.hasmarkup and not terminalreporter.isatty:
        return shutil.get_terminal_size((_UNKNOWN_WIDTH, 24)).columns
    return shutil.get_terminal_size().columns


def end_tables(view: RunView, width: int) -> str:
    """The tables of a run that has ended; of a large one the rows that matter."""
    if len(view.records) > BRIEF_FROM:
        tables = brief_tables(view.studies, width)
    else:
        tables = workload_tables(view.studies, width)
    return render(tables + missing_tables(view), width)


def end_lines(view: RunView) -> list[str]:
    """The run in counts: what was measured, judged, changed, and not judged."""
    verdicts = view.summary.verdicts
    counts = ", ".join(f"{n} {status.value.upper()}" for status, n in verdicts.items())
    measured = f"{len(view.records)} of {view.planned} planned cells measured"
    for status in (Status.UNAVAILABLE, Status.INCOMPLETE):
        if n := sum(one.status is status for one in view.unmeasured):
            measured += f", {n} {status.value.upper()}"
    told = [f"verdicts: {counts}"] if counts else []
    if not view.records:
        told.insert(0, "a run without a figure has failed")
    return ["; ".join([measured, *told]), *_changes(view), *_not_judged(view)]


def _changes(view: RunView) -> list[str]:
    """How many cells changed against their accepted figures; nothing if there are none."""
    changes = view.summary.changes
    if not any(changes[c] for c in (Change.REGRESSED, Change.IMPROVED, Change.UNCHANGED)):
        return []
    words = [f"{changes[c]} {c.value}" for c in Change if changes[c] and c is not Change.NEW]
    if changes[Change.NEW]:
        words.append(f"{changes[Change.NEW]} not compared")
    return [f"cells against the accepted figures: {', '.join(words)}"]


def _not_judged(view: RunView) -> list[str]:
    """What was not judged, by reason."""
    found = skips(view.cases)
    lines = [
        f"not judged: {one.count} {one.what}: {one.reason.splitlines()[0] if one.reason else ''}"
        for one in found[:_REASONS]
    ]
    if len(found) > _REASONS:
        lines.append(f"not judged: {len(found) - _REASONS} more reasons; the page has them")
    return lines
