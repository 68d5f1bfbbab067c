"""A run's figures go into the history when it ends, however it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.assembly.session import RunSetup
from bench.core.errors import BenchError
from bench.core.logging import log_to_file, logger
from bench.core.text import counted, one_line
from bench.history.rows import rows_of_run
from bench.history.store import HISTORY_FILE, Appended, HistoryStore
from bench.pytest_plugin.end import shown_path
from bench.records.run_directory import RunDirectory
from bench.report.ending import Ending
from bench.report.run_view import RunView

__all__ = ["HistoryKeeper", "history_store"]

_LOG = logger(__name__)


def history_store(setup: RunSetup, named: Path | None) -> HistoryStore:
    """The store that the run is added to: `named`, the configuration's, or that beside the runs."""
    beside = setup.run_path.parent / HISTORY_FILE
    return HistoryStore(named or setup.config.history.path or beside)


class HistoryKeeper:
    """Registered in the controller only, so one process of the run writes.

    `view` gives what the run measured; it is asked when the session ends, after the report has
    read it. `required` says whether a run fails that could not be added.
    """

    def __init__(
        self, store: HistoryStore, run: RunDirectory, view: Callable[[], RunView], *, required: bool
    ) -> None:
        self._store = store
        self._run = run
        self._view = view
        self._required = required
        #: What the terminal is told.
        self._told = ""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Add the run. It is lost to no one if that fails: its directory has everything."""
        try:
            done = self._append()
        except BenchError as error:
            problem = str(error)
        except Exception as error:
            # A mistake of ours, or no memory: the run's reports are written all the same.
            path = self._run.log("controller")
            with log_to_file(path):
                _LOG.exception("the history was not written")
            problem = f"{type(error).__name__}: {error}; the traceback is in {path}"
        else:
            runs = counted(done.runs, "run")
            cells = counted(done.cells, "cell")
            self._told = f"history {shown_path(self._store.path)}: {runs}; this one with {cells}"
            return
        self._told = (
            f"the HISTORY lacks this run: {problem}\n"
            f"  -> then add it: bench history add {self._run.path}"
        )
        if self._required and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = Ending.INFRASTRUCTURE

    def _append(self) -> Appended:
        view = self._view()
        if not view.planned:
            raise BenchError("its files could not be read")
        rows = rows_of_run(
            self._run.path.name,
            self._run.manifest(),
            view.records,
            view.unmeasured,
            complete=view.complete,
        )
        return self._store.append(rows)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where the history is, or that it lacks this run."""
        for line in self._told.splitlines():
            terminalreporter.write_line(
                one_line(line if line.startswith(" ") else f"bench: {line}")
            )
