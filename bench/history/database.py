"""The store as a file: opened, checked, and its faults told in one sentence.

It is an SQLite database in write-ahead mode: a writer that is killed leaves it as it was before,
several writers wait for each other, and readers wait for nobody. The mode needs a disk of this
machine, not of the network; runs of other machines come in by their directories.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.core.errors import BenchError
from bench.history.layout import APPLICATION_ID, MIGRATIONS, layout_version, migrate

__all__ = ["HistoryError", "reading", "transaction", "writing"]

#: Seconds to wait for other writers. An append takes milliseconds.
_PATIENCE_S: Final = 30.0
_POLL_S: Final = 0.02
#: What a reader keeps of the file. A query of many cells comes back to the same pages, and SQLite's
#: own 2 MiB hold a quarter of 100,000 figures.
_PAGES_KIB: Final = 32 * 1024
#: How every SQLite database begins, by its "Database File Format".
_MAGIC: Final = b"SQLite format 3\0"

_ANOTHER_PLACE = "make room or give access there, or name another file"


class HistoryError(BenchError):
    """The store of the history cannot be read or written."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """The store at `path`, made or brought to the present layout if necessary.

    Raises `HistoryError` here and, for faults of the file, from the block.
    """
    with _faults_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _require_file(path)
        connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
        with contextlib.closing(connection):
            _check(connection, path)
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA foreign_keys = ON")
            if layout_version(connection) < len(MIGRATIONS):
                with _rolled_back(connection):
                    migrate(connection, MIGRATIONS)
            yield connection


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The store at `path`, to be read; an older layout is brought to the present one first.

    Raises `HistoryError` here and, for faults of the file, from the block.
    """
    if not path.exists():
        raise HistoryError(
            f"{path}: there is no history yet",
            cure="`pytest -n auto` keeps one, `bench history add results/2*` makes it of runs, "
            "and --store FILE names another",
        )
    with _faults_of(path):
        _require_file(path)
        connection = _opened_for_reading(path)
        with contextlib.closing(connection):
            _check(connection, path)
            if layout_version(connection) == len(MIGRATIONS):
                connection.execute(f"PRAGMA cache_size = -{_PAGES_KIB}")
                yield connection
                return
        with writing(path) as connection:
            yield connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that the block writes, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    with _rolled_back(connection):
        yield
        connection.execute("COMMIT")


@contextlib.contextmanager
def _rolled_back(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # SQLite has done it itself after some errors; a disk that fails may refuse this too.
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _require_file(path: Path) -> None:
    """Raise `HistoryError` for what is no SQLite database; SQLite would write into a short file."""
    if not path.exists():
        return
    if not path.is_file():
        raise HistoryError(f"{path}: is no file", cure="name a file for the history")
    with path.open("rb") as stream:
        begin = stream.read(len(_MAGIC))
    if begin not in (b"", _MAGIC):
        raise _damaged(path, "it is no SQLite database")


def _opened_for_reading(path: Path) -> sqlite3.Connection:
    address = f"{path.resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE_S, isolation_level=None)
    try:
        layout_version(connection)
    except sqlite3.Error as error:
        connection.close()
        unfinished = path.with_name(f"{path.name}-wal").exists()
        if unfinished or not isinstance(error, sqlite3.OperationalError):
            raise
        # In a directory that cannot be written, as that of a CI job's artefacts, SQLite refuses to
        # open it; nobody can write it either.
        return sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `HistoryError` for what is no history, or that of a later bench."""
    # One view of the file: another process may be making its tables just now.
    connection.execute("BEGIN")
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version = layout_version(connection)
    connection.execute("COMMIT")
    if application != APPLICATION_ID and (application or version or objects):
        raise HistoryError(
            f"{path}: is a database of another program", cure="name another file for the history"
        )
    if version > len(MIGRATIONS):
        raise HistoryError(
            f"{path}: was written by a later bench (layout {version}, and this one knows layouts "
            f"up to {len(MIGRATIONS)})",
            cure="use that version of the bench, or name another file for the history",
        )


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Once; a file keeps its mode. SQLite does not wait when several do it at once."""
    deadline = time.monotonic() + _PATIENCE_S
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)


@contextlib.contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        words = str(error)
        if "locked" in words:
            raise HistoryError(
                f"{path}: other processes have been writing it for more than {_PATIENCE_S:g} s",
                cure="wait for them or end them, then `bench history add RUN`",
            ) from error
        if "no such" in words or "decode" in words:
            raise _damaged(path, words) from error
        raise HistoryError(f"{path}: {words}", cure=_ANOTHER_PLACE) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # The second if what SQLite says of the damage quotes some of it.
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}", cure=_ANOTHER_PLACE) from error


def _damaged(path: Path, words: str) -> HistoryError:
    return HistoryError(
        f"{path}: is damaged, or no history: {words}",
        cure="move it away; `bench history add results/2*` makes it again of the runs that are "
        "still there",
    )
