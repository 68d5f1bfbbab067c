"""Writing the page of a run: its logs and its history are read here."""

from __future__ import annotations

from pathlib import Path

from bench.core.errors import BenchError
from bench.core.files import reason, write_atomically
from bench.history.store import HistoryStore
from bench.records.run_directory import RunDirectory
from bench.report.html.library import chart_library
from bench.report.html.page import run_page
from bench.report.run_history import history_of
from bench.report.run_view import RunView

__all__ = ["cell_logs", "write_page"]

#: The end of a log that a page shows, in bytes, and how many logs of a cell.
_LOG_BYTES, _LOGS = 3_000, 4


def write_page(run: RunDirectory, view: RunView, store: HistoryStore, path: Path) -> None:
    """Write the page of `run` to `path`. Raises `BenchError` if that fails."""
    written = run_page(view, chart_library(), history_of(view, store), cell_logs(run))
    try:
        write_atomically(path, written)
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be written: {reason(error)}", cure="name another file with --html"
        ) from error


def cell_logs(run: RunDirectory) -> dict[str, dict[str, str]]:
    """Cell -> name of a log in a directory of its own -> its end. What cannot be read is no log."""
    found: dict[str, dict[str, str]] = {}
    try:
        folders = sorted(path for path in run.logs.iterdir() if path.is_dir())
    except OSError:
        return {}
    for folder in folders:
        ends = {}
        for path in sorted(folder.glob("*.log"))[-_LOGS:]:
            try:
                with path.open("rb") as stream:
                    stream.seek(max(0, path.stat().st_size - _LOG_BYTES))
                    ends[path.name] = stream.read(_LOG_BYTES).decode("utf-8", "replace")
            except OSError:
                continue
        if ends:
            found[folder.name] = ends
    return found
