"""Progress for people at a terminal: a few lines that are drawn again and again while work is done.

Pytest's own dots would break these lines, so they are left out. Where nobody looks (a file, a CI
job, `-v`), nothing here is used.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bench.core.text import one_line
from bench.measuring.progress import ProgressEvent
from bench.pytest_plugin.board import ProgressBoard, Shown

__all__ = ["LiveProgress", "drawn", "is_for_people"]

_WIDEST_BAR = 60


def is_for_people(config: pytest.Config) -> bool:
    """Whether somebody looks at the terminal, and wants pytest's usual amount of output."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    return (
        reporter is not None
        and reporter.isatty
        and config.get_verbosity() == 0
        and config.getoption("capture") != "no"
        and not config.getoption("usepdb")
        # The bar has characters of its own.
        and (getattr(reporter._tw._file, "encoding", None) or "").lower().startswith("utf")
        and os.environ.get("TERM", "dumb") != "dumb"
        and not os.environ.get("CI")
    )


class LiveProgress:
    """Registered in the controller only, if somebody looks."""

    def __init__(
        self, config: pytest.Config, cells: Sequence[str], seats: Mapping[str, int]
    ) -> None:
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._reporter = reporter
        # What pytest would write between our lines: names of files and per cents.
        reporter.showfspath = False
        reporter._show_progress_info = False
        self._board = ProgressBoard(cells, time.monotonic(), seats)
        console = Console(file=reporter._tw._file, force_terminal=True, highlight=False)
        self._console = console
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._begun = False
        #: What is to be told above the lines; the thread that draws takes it from here.
        self._told: deque[str] = deque()
        self._failed: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> tuple[str, str, str] | None:
        """Count as pytest does, without letters."""
        when = getattr(report, "when", "collect")
        if report.passed:
            return ("passed" if when == "call" else "", "", "")
        if report.failed:
            return ("failed" if when == "call" else "error", "", "")
        return ("skipped", "", "")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without workers: these are the tests."""
        self.collected(item.nodeid for item in session.items)

    def collected(self, nodeids: Iterable[str]) -> None:
        """These are the tests."""
        self._board.collected(nodeids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """With workers: all collect the same tests."""
        self._board.collected(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        # A worker that died has no phase (`???`): nothing more will be known about the test.
        ended = report.when not in ("setup", "call")
        self.heard(report.nodeid, failed=report.failed, ended=ended)

    def heard(self, nodeid: str, *, failed: bool, ended: bool) -> None:
        """A test has failed, or come to its end."""
        if failed:
            self._failed.add(nodeid)
            self._told.append(f"FAILED {nodeid}")
        if ended:
            self._board.ended(nodeid, failed=nodeid in self._failed)

    def show(self, events: list[ProgressEvent]) -> None:
        """Draw the lines anew. Called by one thread only."""
        now = time.monotonic()
        self._board.take((event for event in events if event.kind != "note"), now)
        if not self._begun:
            if not events:
                return
            self._reporter.ensure_newline()
            self._live.start()
            self._begun = True
        self._told.extend(event.text for event in events if event.kind == "note")
        while self._told:
            self._live.console.print(Text(f"bench: {one_line(self._told.popleft())}"))
        self._live.update(drawn(self._board.shown(now), self._console.width), refresh=True)

    def stop(self) -> None:
        """Take the lines away."""
        if self._begun:
            self._live.stop()
            self._begun = False


def drawn(shown: Shown, width: int) -> Group:
    """The lines for a terminal of that width, none of them wider."""
    bar = _bar(shown.share, min(width, _WIDEST_BAR))
    lines = [shown.headline, " | ".join(shown.stages), *shown.running]
    text = [Text(line, no_wrap=True, overflow="ellipsis") for line in lines if line]
    return Group(bar, *text)


def _bar(share: float, width: int) -> Text:
    """A line of its own; that of `rich` has no end."""
    done = round(share * width)
    return Text("━" * done, style="green").append("━" * (width - done), style="bright_black")
