"""Writing the rows of a run into the store. Called inside a transaction."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any

from bench.history.rows import CellRow, FigureRow, RunRow, RunRows
from bench.records.provenance import Provenance

__all__ = ["has_run", "put_run"]

_THIS_RUN = "SELECT id FROM runs WHERE name = ? AND started = ? AND host = ?"
_FIGURE = (
    "INSERT INTO figures (cell, metric, value, unit, source, absent) VALUES (?, ?, ?, ?, ?, ?)"
)
_THIS_CELL = "SELECT id, outcome FROM cells WHERE cell = ? AND run = ?"


def has_run(connection: sqlite3.Connection, run: RunRow) -> bool:
    """Whether the store has the run."""
    return connection.execute(_THIS_RUN, (run.name, run.started, run.host)).fetchone() is not None


def put_run(connection: sqlite3.Connection, rows: RunRows) -> int:
    """Add the run, or what is new of it, and return its number.

    The result does not depend on the order in which parts of a run are put: complete stays
    complete, and measured stays measured.
    """
    run = _put_run_row(connection, rows.run)
    provenances = _Provenances(connection)
    for cell in rows.cells:
        _put_cell(connection, run, cell, provenances)
    return run


class _Provenances:
    """The numbers of provenances, of which many cells of a run have the same."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[str, int] = {}

    def number(self, provenance: Provenance | None) -> int | None:
        """The number of `provenance`, which is put into the store if it has none."""
        if provenance is None:
            return None
        facts = json.dumps(provenance.model_dump(mode="json"), sort_keys=True)
        if facts not in self._numbers:
            self._numbers[facts] = _put_provenance(self._connection, facts)
        return self._numbers[facts]


def _put_run_row(connection: sqlite3.Connection, run: RunRow) -> int:
    around = run.surroundings
    revision = around.revision
    values = {
        "name": run.name,
        "started": run.started,
        "host": run.host,
        "started_s": run.started_s,
        "complete": run.complete,
        "planned_cells": run.planned_cells,
        "revision": revision.commit or None,
        "branch": revision.branch or None,
        "dirty": revision.dirty if revision.commit else None,
        "revision_absent": revision.absent,
        "ci_job": around.ci_job.address or None,
        "ci_job_absent": around.ci_job.absent,
        "tools": json.dumps(around.tools, sort_keys=True),
    }
    _insert(
        connection,
        "runs",
        values,
        "ON CONFLICT (name, started, host) "
        "DO UPDATE SET complete = max(complete, excluded.complete)",
    )
    return _number(connection.execute(_THIS_RUN, (run.name, run.started, run.host)))


def _put_cell(
    connection: sqlite3.Connection, run: int, cell: CellRow, provenances: _Provenances
) -> None:
    identity = cell.identity
    known = connection.execute(_THIS_CELL, (identity.id, run)).fetchone()
    if known is not None:
        id_, outcome = known
        if outcome == "measured" and cell.outcome != "measured":
            return
        connection.execute("DELETE FROM figures WHERE cell = ?", (id_,))
        connection.execute("DELETE FROM cells WHERE id = ?", (id_,))
    values = {
        "run": run,
        "cell": identity.id,
        "workload": identity.workload,
        "variant": identity.variant,
        "macs": int(identity.macs),
        "memory_mode": identity.memory_mode.value,
        "target": identity.target,
        "outcome": cell.outcome,
        "reason": cell.reason,
        "model_origin": cell.model_origin,
        "model_sha256": cell.model_sha256,
        "data_sha256": cell.data_sha256,
        "vela_version": cell.vela_version,
        "provenance": provenances.number(cell.provenance),
    }
    _insert(connection, "cells", values)
    id_ = _number(connection.execute(_THIS_CELL, (identity.id, run)))
    connection.executemany(_FIGURE, (_figure_values(id_, figure) for figure in cell.figures))


def _figure_values(cell: int, figure: FigureRow) -> tuple[Any, ...]:
    source = figure.source.value
    return cell, figure.metric, figure.value, figure.unit, source, figure.absent


def _put_provenance(connection: sqlite3.Connection, facts: str) -> int:
    """The number of a provenance, which most runs of a cell share."""
    sha256 = hashlib.sha256(facts.encode()).hexdigest()
    values = {"sha256": sha256, "facts": facts}
    _insert(connection, "provenances", values, "ON CONFLICT (sha256) DO NOTHING")
    query = "SELECT id FROM provenances WHERE sha256 = ?"
    return _number(connection.execute(query, (sha256,)))


def _insert(
    connection: sqlite3.Connection, table: str, values: dict[str, Any], otherwise: str = ""
) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places}) {otherwise}", values)


def _number(cursor: sqlite3.Cursor) -> int:
    return int(cursor.fetchone()[0])
