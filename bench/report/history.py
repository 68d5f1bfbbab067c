"""The history as tables and as JSON. Judges nothing, and finds no steps itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.core.text import one_line
from bench.history.causes import revision_words
from bench.history.series import Point, RunSummary, Series
from bench.history.steps import Step
from bench.records.figures import shown_number

__all__ = ["SeriesView", "overview_table", "runs_json", "runs_table", "series_json", "series_table"]

_NOTHING = "-"
#: What a step says whose records do not differ.
_UNKNOWN = "nothing changed that the records know of"
#: The distribution whose version lists of runs show.
_VELA = "ethos-u-vela"


@dataclass(frozen=True)
class SeriesView:
    """A series with what was found in it."""

    series: Series
    steps: tuple[Step, ...]
    #: Whether chance has a part in its figures.
    noisy: bool


def series_table(view: SeriesView, limit: int) -> list[RenderableType]:
    """One cell: a row for each of the last `limit` runs (0 = all), and its steps."""
    series = view.series
    points = series.points
    first = max(0, len(points) - limit) if limit else 0
    kind = "noisy: steps are changes of level" if view.noisy else "exact: every change is a step"
    sources = ", ".join(dict.fromkeys(p.source for p in points if p.source))
    table = _table(f"{series.metric} of {series.cell} ({sources or 'no figure'}; {kind})")
    for heading in ("started (UTC)", "run", "commit", "branch"):
        table.add_column(heading, no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("change", justify="right", no_wrap=True)
    table.add_column("step")
    steps = {step.index: step for step in view.steps}
    for i, point in enumerate(points):
        if i >= first:
            step = steps.get(i)
            table.add_row(
                *_run_cells(point.run),
                _value(point, series.unit),
                _change(points[:i], point, series.unit),
                _step(step, series.unit, noisy=view.noisy) if step else "",
            )
    if first:
        table.caption = f"{first} earlier runs are not shown; --limit 0 shows all"
    return [table]


def overview_table(views: Sequence[SeriesView]) -> list[RenderableType]:
    """Many cells: a row for each, with its last figure and its last step."""
    if not views:
        return []
    table = _table(views[0].series.metric)
    table.add_column("cell")
    table.add_column("runs", justify="right")
    table.add_column("last value", justify="right")
    table.add_column("last step (UTC)", no_wrap=True)
    table.add_column("commit", no_wrap=True)
    table.add_column("what changed")
    for view in views:
        series = view.series
        step = view.steps[-1] if view.steps else None
        at = series.points[step.index] if step else None
        table.add_row(
            _words(series.cell),
            f"{len(series.points):,}",
            _value(series.points[-1], series.unit),
            _time(at.run) if at else _NOTHING,
            _words(revision_words(at.run) if at else _NOTHING),
            _words(f"{_levels(step, series.unit)}: {_changes(step)}" if step else ""),
        )
    return [table]


def runs_table(runs: Sequence[RunSummary]) -> list[RenderableType]:
    """A row for each run."""
    table = _table("runs")
    for heading in ("started (UTC)", "run", "commit", "branch", "host"):
        table.add_column(heading, no_wrap=True)
    table.add_column("cells", justify="right", no_wrap=True)
    table.add_column("Vela", no_wrap=True)
    table.add_column("remarks")
    for run in runs:
        remarks = [text for text in (run.ci_job, run.revision_absent) if text]
        table.add_row(
            *_run_cells(run),
            _words(run.host),
            f"{run.measured_cells:,} of {run.planned_cells:,}",
            _words(run.tools.get(_VELA, _NOTHING)),
            _words("; ".join(remarks)),
        )
    return [table]


def series_json(views: Sequence[SeriesView]) -> list[dict[str, Any]]:
    """The same for programs, all of it; `docs/history.md` describes it."""
    return [
        {
            "metric": view.series.metric,
            "cell": view.series.cell,
            "unit": view.series.unit,
            "noisy": view.noisy,
            "points": [_point_json(point) for point in view.series.points],
            "steps": [
                {**asdict(step), "relative": step.relative, "run": _run_of(view, step)}
                for step in view.steps
            ],
        }
        for view in views
    ]


def runs_json(runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [asdict(run) for run in runs]


def _point_json(point: Point) -> dict[str, Any]:
    return {
        "run": point.run.name,
        "started": point.run.started,
        "host": point.run.host,
        "complete": point.run.complete,
        "commit": point.run.revision,
        "branch": point.run.branch,
        "dirty": point.run.dirty,
        "ci_job": point.run.ci_job,
        "value": point.value,
        "absent": point.absent,
        "source": point.source,
        "model_sha256": point.model_sha256,
        "vela_version": point.vela_version,
    }


def _run_of(view: SeriesView, step: Step) -> str:
    return view.series.points[step.index].run.name


def _table(title: str) -> Table:
    return Table(title=one_line(title), title_justify="left", caption_justify="left")


def _words(text: str) -> Text:
    return Text(one_line(text))


def _run_cells(run: RunSummary) -> tuple[str | Text, ...]:
    name = run.name if run.complete else f"{run.name} (incomplete)"
    return _time(run), _words(name), _words(revision_words(run)), _words(run.branch or _NOTHING)


def _time(run: RunSummary) -> str:
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=run.started_s)
    return moment.strftime("%Y-%m-%d %H:%M")


def _value(point: Point, unit: str) -> Text:
    if point.value is None:
        return _words(f"{_NOTHING} ({point.absent})")
    return _words(shown_number(point.value, unit))


def _change(before: Sequence[Point], point: Point, unit: str) -> str:
    """The change from the last figure before; empty if there is none."""
    last = next((p.value for p in reversed(before) if p.value is not None), None)
    if last is None or point.value is None or point.value == last:
        return ""
    return _difference(last, point.value, unit)


def _difference(before: float, after: float, unit: str) -> str:
    if before:
        return f"{(after - before) / abs(before):+.2%}"
    return f"{'+' if after > before else ''}{shown_number(after - before, unit)}"


def _step(step: Step, unit: str, *, noisy: bool) -> Text:
    """A line for each change. The row of an exact step has its figures already."""
    lines = [_levels(step, unit)] if noisy else []
    return Text("\n".join(map(one_line, [*lines, *(step.changes or [_UNKNOWN])])))


def _levels(step: Step, unit: str) -> str:
    before, after = shown_number(step.before, unit), shown_number(step.after, unit)
    return f"{before} -> {after} ({_difference(step.before, step.after, unit)})"


def _changes(step: Step) -> str:
    return "; ".join(step.changes) or _UNKNOWN
