"""The history of the cells of a run, for its reports: their cycles, and since when they are so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.core.errors import BenchError
from bench.core.logging import logger
from bench.history.causes import revision_words
from bench.history.series import RunSummary, Selection, Series
from bench.history.steps import Step, find_steps
from bench.history.store import HistoryStore
from bench.plan.metrics import MetricName
from bench.report.run_view import RunView
from bench.report.view.figures import Change
from bench.report.view.summary import regressions

__all__ = ["HistoryView", "history_of"]

_LOG = logger(__name__)

#: Figures that a page has at most; a grid of many cells gets fewer runs.
_MOST_POINTS = 60_000
_MOST_RUNS, _FEWEST_RUNS = 50, 3
#: Changes of which it is told since when they are so.
_TOLD = 8


@dataclass(frozen=True)
class HistoryView:
    """The NPU cycles of the last runs, cell by cell."""

    runs: Sequence[RunSummary] = ()
    series: Mapping[str, Series] = field(default_factory=dict)
    steps: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    #: Metric and cell -> since when the figure is as it is, in a sentence.
    told: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def since(self, cells: Sequence[str], metric: str) -> str:
        """Since when `metric` is as it is in the first of `cells`, in a sentence; or nothing."""
        return self.told.get((metric, cells[0]), "") if cells else ""


def history_of(view: RunView, store: HistoryStore) -> HistoryView:
    """What `store` has of the cells of a run.

    A history that cannot be read is left out, and the log says so.
    """
    changed = regressions(view.cells, Change.REGRESSED, Change.IMPROVED)[:_TOLD]
    wanted = [(group.metric, group.cells[0]) for group in changed]
    try:
        return _read(store, len(view.cells), wanted)
    except BenchError as error:
        _LOG.warning("the report is without a history: %s", error)
        return HistoryView()


def _read(store: HistoryStore, cells: int, wanted: Iterable[tuple[str, str]] = ()) -> HistoryView:
    """The last runs of the cells that `store` has; of fewer runs, the more cells there are.

    `wanted` are figures of which it is told since when they are so: a metric and a cell each.
    Raises `HistoryError` if the store cannot be used.
    """
    if not store.path.exists():
        return HistoryView()
    runs = store.runs(Selection())
    count = max(_FEWEST_RUNS, min(_MOST_RUNS, _MOST_POINTS // max(1, cells)))
    last = runs[-count:]
    if len(last) < 2:
        return HistoryView()
    selection = Selection(since_s=last[0].started_s)
    found = store.series(MetricName.NPU_CYCLES.value, "*", selection)
    return HistoryView(
        last,
        {series.cell: series for series in found},
        {series.cell: find_steps(series.points) for series in found},
        dict(_told(store, wanted)),
    )


def _told(
    store: HistoryStore, wanted: Iterable[tuple[str, str]]
) -> Iterator[tuple[tuple[str, str], str]]:
    known = {metric.value for metric in MetricName}
    for metric, cell in wanted:
        if metric not in known:
            # A judgement over layers or cells is no figure of the history.
            continue
        for series in store.series(metric, cell, Selection()):
            yield (metric, cell), _since(series, find_steps(series.points))


def _since(series: Series, steps: Sequence[Step]) -> str:
    """Since when the last figure of a series is as it is; empty if it has always been."""
    if not steps:
        return ""
    run = series.points[steps[-1].index].run
    commit = revision_words(run)
    where = f"commit {commit}, " if commit != "-" else ""
    return f"Since {where}run {run.name} of {run.started[:10]}."
