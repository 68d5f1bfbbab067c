"""The tables of the store, and the way from each older layout to the present one.

`docs/history.md` describes them for other programs: a change here is a change there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

__all__ = ["APPLICATION_ID", "MIGRATIONS", "layout_version", "migrate"]

#: In the file's header, so that a database of another program is recognised. "E55H".
APPLICATION_ID: Final = 0x45353548

_FIRST: Final = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        started TEXT NOT NULL,
        host TEXT NOT NULL,
        started_s INTEGER NOT NULL,
        complete INTEGER NOT NULL,
        planned_cells INTEGER NOT NULL,
        revision TEXT,
        branch TEXT,
        dirty INTEGER,
        revision_absent TEXT NOT NULL,
        ci_job TEXT,
        ci_job_absent TEXT NOT NULL,
        tools TEXT NOT NULL,
        UNIQUE (name, started, host)
    )
    """,
    """
    CREATE TABLE provenances (
        id INTEGER PRIMARY KEY,
        sha256 TEXT NOT NULL UNIQUE,
        facts TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE cells (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (id),
        cell TEXT NOT NULL,
        workload TEXT NOT NULL,
        variant TEXT NOT NULL,
        macs INTEGER NOT NULL,
        memory_mode TEXT NOT NULL,
        target TEXT NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT NOT NULL,
        model_origin TEXT NOT NULL,
        model_sha256 TEXT NOT NULL,
        data_sha256 TEXT NOT NULL,
        vela_version TEXT NOT NULL,
        provenance INTEGER REFERENCES provenances (id),
        UNIQUE (cell, run)
    )
    """,
    "CREATE INDEX cells_of_run ON cells (run, outcome)",
    """
    CREATE TABLE figures (
        cell INTEGER NOT NULL REFERENCES cells (id),
        metric TEXT NOT NULL,
        value REAL,
        unit TEXT NOT NULL,
        source TEXT NOT NULL,
        absent TEXT NOT NULL,
        PRIMARY KEY (cell, metric)
    ) WITHOUT ROWID
    """,
    """
    CREATE VIEW history AS
    SELECT runs.name AS run, runs.started, runs.started_s, runs.host, runs.complete,
           runs.revision, runs.branch, runs.dirty, runs.ci_job,
           cells.cell, cells.workload, cells.variant, cells.macs, cells.memory_mode, cells.target,
           cells.model_sha256, cells.data_sha256, cells.vela_version,
           figures.metric, figures.value, figures.unit, figures.source, figures.absent
    FROM figures
    JOIN cells ON cells.id = figures.cell
    JOIN runs ON runs.id = cells.run
    """,
)

#: Statements that lead from layout n to layout n + 1; an empty file is layout 0.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST,)


def layout_version(connection: sqlite3.Connection) -> int:
    """The layout that the store has."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]]) -> None:
    """Bring the store to the layout after the last of `migrations`, or leave it as it is.

    One transaction: whoever is killed in the middle leaves the old layout. Of several that do it at
    once, the first does all.
    """
    connection.execute("BEGIN IMMEDIATE")
    for statements in migrations[layout_version(connection) :]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(migrations)}")
    connection.execute("COMMIT")
