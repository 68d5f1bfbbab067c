"""The trend page: a metric over the runs of the history, cell by cell, with its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bench.core.text import counted
from bench.history.causes import revision_words
from bench.history.series import RunSummary
from bench.history.steps import Step
from bench.plan.metrics import MetricName, describe
from bench.records.figures import shown_number
from bench.report.history import SeriesView
from bench.report.html.packing import rounded, text
from bench.report.html.rendering import asset, render_page
from bench.report.html.trend_chart import trend_spec

__all__ = ["trend_page"]

#: Steps in the table of all cells, and names in one sentence.
_STEPS, _NAMES = 100, 8
_UNKNOWN = "nothing changed that the records know of"


def trend_page(views: Sequence[SeriesView], library: str) -> str:
    """The HTML of `views`, which are of one metric; `library` is the script that draws charts."""
    runs = _runs(views)
    number = {run.name: i for i, run in enumerate(runs)}
    metric = views[0].series.metric if views else ""
    unit = views[0].series.unit if views else ""
    data = {
        "unit": unit,
        "runs": list(_run_data(runs)),
        "series": [_series_data(view, number) for view in views],
        "charts": {"trend": trend_spec(_title(metric, unit))},
        "each": 1,
    }
    code = "\n".join(asset(name) for name in ("dom.js", "charts.js", "trend.js"))
    ours = f'(() => {{\n"use strict";\n{code}\n}})();\n'
    return render_page("trend.html.jinja", _values(views, runs), data, [], [library, ours])


def _title(metric: str, unit: str) -> str:
    known = [name for name in MetricName if name.value == metric]
    title = describe(known[0]).title if known else metric
    return f"{title}, {unit}" if unit and unit not in title else title


def _runs(views: Sequence[SeriesView]) -> list[RunSummary]:
    """All runs with a point, oldest first."""
    found = {p.run.name: p.run for view in views for p in view.series.points}
    return sorted(found.values(), key=lambda run: (run.started_s, run.name))


def _run_data(runs: Sequence[RunSummary]) -> Iterator[dict[str, Any]]:
    before: RunSummary | None = None
    for run in runs:
        yield {
            "name": text(run.name),
            "started": text(run.started[:16].replace("T", " ")),
            "commit": text(revision_words(run)),
            "tools": text(_tool_changes(before, run)) if before else "",
        }
        before = run


def _tool_changes(before: RunSummary, run: RunSummary) -> str:
    """Which tools have another version than in the run before."""
    names = dict.fromkeys((*before.tools, *run.tools))
    return ", ".join(
        f"{name} {before.tools[name]} -> {run.tools[name]}"
        for name in names
        if name in before.tools and name in run.tools and before.tools[name] != run.tools[name]
    )


def _series_data(view: SeriesView, number: dict[str, int]) -> dict[str, Any]:
    return {
        "cell": text(view.series.cell),
        "points": [[number[p.run.name], rounded(p.value)] for p in view.series.points],
        "steps": [
            {
                "i": step.index,
                "before": rounded(step.before),
                "after": rounded(step.after),
                "why": text(_why(step)),
            }
            for step in view.steps
        ],
    }


def _why(step: Step) -> str:
    return "; ".join(step.changes) or _UNKNOWN


def _values(views: Sequence[SeriesView], runs: Sequence[RunSummary]) -> dict[str, Any]:
    metric = views[0].series.metric if views else ""
    unit = views[0].series.unit if views else ""
    last = runs[-1].name if runs else ""
    latest = [
        view.series.cell
        for view in views
        if view.steps and view.series.points[view.steps[-1].index].run.name == last
    ]
    title = _title(metric, unit)
    with_steps = sum(bool(view.steps) for view in views)
    cells = counted(len(views), "cell")
    changed = f"{len(latest):,} of {cells} changed in the last run."
    calm = f"No cell changed in the last run; {with_steps:,} of {cells} changed before."
    return {
        "metric": metric,
        "title": title[:1].upper() + title[1:],
        "runs": len(runs),
        "period": f"{runs[0].started[:10]} to {runs[-1].started[:10]}" if runs else "",
        "headline": changed if latest else calm,
        "latest": latest[:_NAMES],
        "latest_left": max(0, len(latest) - _NAMES),
        "steps": _step_rows(views, unit),
    }


def _step_rows(views: Sequence[SeriesView], unit: str) -> list[dict[str, Any]]:
    """The last steps of all cells, newest first; those of one run for one reason together."""
    groups: dict[tuple[int, str, str], list[tuple[SeriesView, Step]]] = {}
    for view in views:
        for step in view.steps:
            run = view.series.points[step.index].run
            key = (run.started_s, run.name, _why(step))
            groups.setdefault(key, []).append((view, step))
    rows = []
    for key in sorted(groups, reverse=True)[:_STEPS]:
        members = groups[key]
        view, step = max(members, key=lambda member: abs(member[1].relative or 0))
        run = view.series.points[step.index].run
        share = f" ({step.relative:+.2%})" if step.relative is not None else ""
        change = f"{shown_number(step.before, unit)} -> {shown_number(step.after, unit)}{share}"
        rows.append(
            {
                "started": run.started[:16].replace("T", " "),
                "commit": revision_words(run),
                "count": len(members),
                "cell": view.series.cell,
                "change": change,
                "why": _why(step),
            }
        )
    return rows
