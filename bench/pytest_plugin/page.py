"""The page of a run is written when it ends. A run never fails because of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.core.logging import log_to_file, logger
from bench.core.text import one_line
from bench.history.store import HistoryStore
from bench.pytest_plugin.end import shown_path
from bench.records.run_directory import RunDirectory
from bench.report.run_view import RunView

__all__ = ["PageWriter"]

_LOG = logger(__name__)


class PageWriter:
    """Registered in the controller only, after the history, which the page shows.

    Records and JUnit file have everything that the page has, and `bench report` makes it again. So
    what goes wrong here is told, and changes no exit status.
    """

    def __init__(
        self,
        run: RunDirectory,
        store: HistoryStore,
        view: Callable[[], RunView],
    ) -> None:
        self._run = run
        self._store = store
        self._view = view
        #: What the terminal is told.
        self._told = ""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        view = self._view()
        if view.manifest is None:
            return
        path = self._run.page
        try:
            # Templates and charts are not needed before.
            from bench.report.html.writing import write_page

            with log_to_file(self._run.log("controller")):
                write_page(self._run, view, self._store, path)
        except BenchError as error:
            problem = str(error)
        except Exception as error:
            # A mistake of ours, or no memory.
            log = self._run.log("controller")
            with log_to_file(log):
                _LOG.exception("the page was not made")
            problem = f"{type(error).__name__}: {error}; the traceback is in {log}"
        else:
            self._told = f"page {shown_path(path)}"
            return
        self._told = (
            f"the run has no PAGE: {problem}\n"
            f"  -> make it: bench report {self._run.path} --html {path}"
        )

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where the page is, or why there is none."""
        for line in self._told.splitlines():
            terminalreporter.write_line(
                one_line(line if line.startswith(" ") else f"bench: {line}")
            )
