"""The history of a run's cells as the page's script reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.history.causes import revision_words
from bench.history.steps import Step
from bench.report.html.packing import rounded, text
from bench.report.run_history import HistoryView

__all__ = ["history_data"]


def history_data(history: HistoryView, places: Mapping[str, int]) -> dict[str, Any]:
    """`history` for a page; `places` is where each cell stands among all."""
    number = {run.name: i for i, run in enumerate(history.runs)}
    found: dict[int, Any] = {}
    for id_, series in history.series.items():
        if id_ not in places:
            continue
        found[places[id_]] = {
            "v": [rounded(point.value) for point in series.points],
            "r": [number.get(point.run.name, -1) for point in series.points],
            "s": [_step(step) for step in history.steps[id_]],
        }
    runs = [
        {
            "name": text(run.name),
            "started": text(run.started[:16].replace("T", " ")),
            "commit": text(revision_words(run)),
        }
        for run in history.runs
    ]
    return {"series": found, "runs": runs}


def _step(step: Step) -> dict[str, Any]:
    return {
        "i": step.index,
        "before": rounded(step.before),
        "after": rounded(step.after),
        "why": text("; ".join(step.changes) or "nothing changed that the records know of"),
    }
