"""The history: what is written at the end of each run, and what is asked of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

from bench.core.errors import ConfigError
from bench.core.schema import suggest
from bench.history.appending import has_run, put_run
from bench.history.database import reading, transaction, writing
from bench.history.rows import RunRows
from bench.history.series import Point, RunSummary, Selection, Series
from bench.plan.metrics import MetricName

__all__ = ["HISTORY_FILE", "Appended", "HistoryStore"]

#: The store's name beside the runs.
HISTORY_FILE = "history.sqlite"

#: How many names to suggest; hundreds would hide the right one.
_SUGGESTED = 8

#: Seconds from 1970 to the ends of the calendar.
_ANY_TIME_S = 62_000_000_000

_RUNS = """
    SELECT runs.*, count(cells.id) AS measured_cells
    FROM runs
    LEFT JOIN cells ON cells.run = runs.id AND cells.outcome = 'measured'
    WHERE (:branch = '' OR runs.branch = :branch) AND runs.started_s >= :since_s
    GROUP BY runs.id
    ORDER BY runs.started_s, runs.name, runs.host
"""
_POINTS = """
    SELECT cells.cell, cells.run, figures.unit, cells.outcome, cells.reason, figures.value,
           figures.absent, figures.source, cells.model_origin, cells.model_sha256,
           cells.vela_version, cells.provenance
    FROM cells
    LEFT JOIN figures ON figures.cell = cells.id AND figures.metric = :metric
    WHERE {chosen}
"""
_PROVENANCES = """
    SELECT id, facts FROM provenances
    WHERE id IN (SELECT cells.provenance FROM cells WHERE {chosen})
"""
_Types: TypeAlias = frozenset[type]
_TEXT: _Types = frozenset({str})
_MAYBE_TEXT: _Types = frozenset({str, type(None)})
_WHOLE: _Types = frozenset({int})
_MAYBE_WHOLE: _Types = frozenset({int, type(None)})
_MAYBE_REAL: _Types = frozenset({float, type(None)})
#: The types of the columns of `_POINTS`.
_TYPES: tuple[_Types, ...] = (
    *(_TEXT, _WHOLE, _MAYBE_TEXT, _TEXT, _TEXT, _MAYBE_REAL),
    *(_MAYBE_TEXT, _MAYBE_TEXT, _TEXT, _TEXT, _TEXT, _MAYBE_WHOLE),
)
#: SQLite finds one name by the index, and goes through all for a pattern.
_ONE_CELL, _MANY_CELLS = "cells.cell = :cell", "cells.cell GLOB :cell"


@dataclass(frozen=True)
class Appended:
    """What came of an append."""

    #: Cells of the run that are now in the store.
    cells: int
    #: Whether the store had the run before.
    known: bool
    #: Runs that are now in the store.
    runs: int


class HistoryStore:
    """The store in the file at `path`. Each method opens it and closes it.

    Every method raises `HistoryError` when the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def require_writable(self) -> None:
        """Make the store if it is not there, and find out whether it can be written."""
        with writing(self.path) as connection, transaction(connection):
            pass

    def append(self, rows: RunRows) -> Appended:
        """Add a run: all of it, or nothing.

        A run that is there already stays there once. What is new in `rows` is added to it, and
        what was measured before is not forgotten.
        """
        with writing(self.path) as connection, transaction(connection):
            known = has_run(connection, rows.run)
            run = put_run(connection, rows)
            ((cells,),) = connection.execute("SELECT count(*) FROM cells WHERE run = ?", (run,))
            ((runs,),) = connection.execute("SELECT count(*) FROM runs")
        return Appended(cells, known, runs)

    def runs(self, selection: Selection) -> tuple[RunSummary, ...]:
        """The runs, oldest first."""
        with reading(self.path) as connection:
            return tuple(_runs(connection, selection).values())

    def series(self, metric: str, pattern: str, selection: Selection) -> tuple[Series, ...]:
        """The figures of `metric` in each cell whose id fits `pattern` (`*` is any text), by id.

        A cell that could not be measured in a run, or has no such figure, has a point that says
        why. Cells without any point are left out.

        Raises:
            ConfigError: there is no such metric or cell; the message names the nearest.
        """
        exact = "*" not in pattern
        chosen = _ONE_CELL if exact else _MANY_CELLS
        values = {"metric": metric, "cell": pattern if exact else _glob(pattern)}
        with reading(self.path) as connection:
            # One view of the store for all of it, whoever writes meanwhile.
            connection.execute("BEGIN")
            runs = _runs(connection, selection)
            rows = connection.execute(_POINTS.format(chosen=chosen), values).fetchall()
            if not rows:
                raise self._no_cell(connection, pattern)
            if all(unit is None for _, _, unit, *_ in rows):
                _require_metric(connection, metric)
            provenances = dict(connection.execute(_PROVENANCES.format(chosen=chosen), values))
            return _series(metric, rows, runs, provenances)

    def _no_cell(self, connection: sqlite3.Connection, pattern: str) -> ConfigError:
        rows = connection.execute("SELECT DISTINCT cell FROM cells ORDER BY cell")
        known = [cell for (cell,) in rows]
        return ConfigError(
            f"{self.path}: no run has a cell {pattern!r}",
            cure=_nearest(pattern, known) if known else "the history holds no cell yet",
        )


def _require_metric(connection: sqlite3.Connection, metric: str) -> None:
    known = [name.value for name in MetricName]
    stored = "SELECT 1 FROM figures WHERE metric = ? LIMIT 1"
    if metric not in known and connection.execute(stored, (metric,)).fetchone() is None:
        raise ConfigError(f"there is no metric {metric!r}", cure=suggest(metric, known))


def _nearest(name: str, known: list[str]) -> str:
    hint = suggest(name, known).partition("known: ")[0]
    rest = f" and {len(known) - _SUGGESTED} more" if len(known) > _SUGGESTED else ""
    return f"{hint}known: {', '.join(known[:_SUGGESTED])}{rest}"


def _glob(pattern: str) -> str:
    """`pattern` for SQLite, with a meaning for `*` alone."""
    return "".join(f"[{c}]" if c in "[?" else c for c in pattern)


def _runs(connection: sqlite3.Connection, selection: Selection) -> dict[int, RunSummary]:
    """The selected runs by their number, oldest first."""
    since = -(1 << 62) if selection.since_s is None else selection.since_s
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    rows = cursor.execute(_RUNS, {"branch": selection.branch, "since_s": since})
    return {row["id"]: _summary(row) for row in rows}


def _require_types(types: _Types, values: Iterable[object]) -> None:
    """Columns have no types in SQLite; a file that was damaged may hold anything anywhere."""
    wrong = set(map(type, values)) - types
    if wrong:
        raise sqlite3.DatabaseError(f"it holds a value of the wrong type ({wrong.pop().__name__})")


def _summary(row: sqlite3.Row) -> RunSummary:
    _require_types(_TEXT, [row[name] for name in ("name", "started", "host", "revision_absent")])
    _require_types(_MAYBE_TEXT, [row[name] for name in ("revision", "branch", "ci_job")])
    _require_types(_WHOLE, [row["started_s"], row["planned_cells"]])
    if abs(row["started_s"]) > _ANY_TIME_S:
        raise sqlite3.DatabaseError("runs.started_s is no time")
    return RunSummary(
        name=row["name"],
        started=row["started"],
        started_s=row["started_s"],
        host=row["host"],
        complete=bool(row["complete"]),
        planned_cells=row["planned_cells"],
        measured_cells=row["measured_cells"],
        revision=row["revision"] or "",
        branch=row["branch"] or "",
        dirty=bool(row["dirty"]),
        revision_absent=row["revision_absent"],
        ci_job=row["ci_job"] or "",
        tools=_tools(row["tools"]),
    )


def _tools(text: str) -> dict[str, str]:
    try:
        tools = dict(json.loads(text))
    except (ValueError, TypeError):
        raise sqlite3.DatabaseError("runs.tools is no JSON object") from None
    _require_types(_TEXT, tools.values())
    return tools


def _series(
    metric: str,
    rows: Sequence[tuple[Any, ...]],
    runs: Mapping[int, RunSummary],
    provenances: Mapping[int, str],
) -> tuple[Series, ...]:
    """`rows` are those of `_POINTS`."""
    for types, column in zip(_TYPES, zip(*rows, strict=True), strict=True):
        _require_types(types, column)
    place = {number: i for i, number in enumerate(runs)}
    chosen = sorted(
        (row for row in rows if row[1] in place), key=lambda row: (row[0], place[row[1]])
    )
    return tuple(
        Series(
            metric,
            cell,
            next((row[2] for row in reversed(group) if row[2] is not None), ""),
            tuple(_point(runs[row[1]], provenances, *row[3:]) for row in group),
        )
        for cell, group in ((c, list(g)) for c, g in groupby(chosen, itemgetter(0)))
    )


def _point(  # noqa: PLR0913 (a row of the query)
    run: RunSummary,
    provenances: Mapping[int, str],
    outcome: str,
    reason: str,
    value: float | None,
    absent: str | None,
    source: str | None,
    model_origin: str,
    model_sha256: str,
    vela_version: str,
    provenance: int | None,
) -> Point:
    if outcome != "measured":
        absent = f"{outcome.upper()}: {reason}"
    elif absent is None:
        absent = "the bench of that time did not keep this figure"
    if provenance is not None and provenance not in provenances:
        raise sqlite3.DatabaseError("cells.provenance leads nowhere")
    facts = "" if provenance is None else provenances[provenance]
    return Point(run, value, absent, source or "", model_origin, model_sha256, vela_version, facts)
