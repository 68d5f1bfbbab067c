"""What the terminal shows: progress while work is done, tables and files at the end."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.assembly.session import BenchSession
from bench.core.errors import BenchError
from bench.core.logging import log_to_file, logger
from bench.core.text import one_line
from bench.measuring.progress import Follower, ProgressEvent
from bench.pytest_plugin.baselines import update_baselines
from bench.pytest_plugin.cases import CaseCollector
from bench.pytest_plugin.end import end_lines, end_tables, shown_path, terminal_width
from bench.pytest_plugin.live import LiveProgress, is_for_people
from bench.pytest_plugin.status import exit_status
from bench.records.record import Status
from bench.report.run_view import RunView, read_run, write_junit

__all__ = ["ProgressLines", "TerminalReport", "say_at_once"]

_LOG = logger(__name__)

#: Seconds between two reads of the progress file, and between two status lines.
_LOOK_S = 0.5
_STATUS_S = 5.0
#: Work of these kinds is announced when it starts and ends; other work is only counted.
_ANNOUNCED = frozenset({"train", "download"})
_ACCEPT = (
    "some figures have neither a limit nor an accepted value; `bench baseline accept` accepts "
    "what this run measured"
)


def say_at_once(event: ProgressEvent) -> None:
    """Tell of work that is done before pytest shows anything."""
    if event.state in ("started", "update"):
        line = one_line(f"bench: {event.kind} {event.task} {event.text}".rstrip())
        print(line, file=sys.stderr, flush=True)


class TerminalReport:
    """Registered in the controller only, so it alone writes to the terminal."""

    def __init__(
        self,
        session: BenchSession,
        config: pytest.Config,
        cases: CaseCollector,
    ) -> None:
        self._setup = session.setup
        self._run = session.run
        self._cases = cases
        self._config = config
        self._live: LiveProgress | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._view = RunView.empty()
        #: Where the reports are, or why there are none.
        self._reports = ""
        #: What became of the baselines.
        self._baselines: list[str] = []

    @property
    def view(self) -> RunView:
        """The run as its reports have it; empty before it ended, or if it could not be read."""
        return self._view

    def pytest_report_header(self) -> list[str]:
        """Name the shard, and the targets that are not available."""
        own = self._setup.shard
        return [
            *([] if own is None else [f"bench: shard {own.shard}: {len(own.cells):,} cells"]),
            *self._lacking(),
        ]

    def _lacking(self) -> list[str]:
        """The targets that are not available; the rest is measured without them."""
        return [
            f"bench: target {name} is UNAVAILABLE: {what}\n  -> {cure}"
            for name, (what, cure) in self._setup.unavailable.items()
        ]

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin to follow the workers' progress."""
        if is_for_people(self._config):
            # The options are known by now, and nothing was written yet.
            cells = [cell.id for cell in self._setup.plan().cells]
            # A board measures one batch at a time.
            limited = {"fvp": self._setup.config.targets.fvp.seats, "mps3": 1}
            seats = {name: limited[name] for name in self._setup.targets if name in limited}
            self._live = LiveProgress(self._config, cells, seats)
            self._config.pluginmanager.register(self._live, "bench-live")
        self._thread = threading.Thread(target=self._follow, name="bench-progress", daemon=True)
        self._thread.start()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Write the reports. A run that measured no cell, or cannot write them, has failed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        missing = self._read_and_write()
        try:
            # pytest writes its JUnit file here. On a full disk it would end in a traceback, and the
            # user would not see what the tests say about the disk.
            yield
        except OSError as error:
            missing = f"{self._config.option.xmlpath}: {error.strerror}"
        if missing:
            self._reports = f"a report is missing: {missing}"
        missing = missing or self._update_baselines(session.exitstatus)
        if self._setup.is_empty_shard and not missing:
            # There are fewer parts than shards; the merge proves that the others have every cell.
            if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
                session.exitstatus = pytest.ExitCode.OK
            return
        session.exitstatus = exit_status(
            session.exitstatus,
            self._view,
            missing=bool(missing),
            others_failed=self._cases.others_failed,
        )

    def _read_and_write(self) -> str:
        """Read what the workers found and write the JUnit file. Returns the reason of a failure."""
        try:
            self._view = read_run(self._run)
            # It is needed to the end, before which pytest looks for cycles in everything twice.
            gc.freeze()
            written = write_junit(self._run, self._view)
        except BenchError as error:
            return str(error)
        except Exception as error:
            # A mistake of ours, or no memory: pytest's own report is written all the same.
            path = self._run.log("controller")
            with log_to_file(path):
                _LOG.exception("the reports were not made")
            return f"{type(error).__name__}: {error}; the traceback is in {path}"
        cells = shown_path(self._run.path / "cells")
        self._reports = f"records {cells}, JUnit {shown_path(written)}"
        return self._cases.problem

    def _update_baselines(self, status: int) -> str:
        """Accept what was measured, if that was asked for. Returns the reason of a failure."""
        reason = self._config.option.bench_update_baselines
        if reason is None:
            if any(v.status is Status.NO_BASELINE for r in self._view.records for v in r.verdicts):
                self._baselines = [_ACCEPT]
            return ""
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            # Half a run would leave half of the figures old, and nobody would know which.
            self._baselines = ["baselines: not updated, as the run did not come to its end"]
            return "the baselines were not updated"
        try:
            self._baselines = update_baselines(self._setup, self._view, reason)
        except BenchError as error:
            self._baselines = [f"baselines: not updated: {error}"]
            return str(error)
        return ""

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the tables, and say how much of the plan was measured and where it is kept."""
        terminalreporter.section("Ethos-U55 regression bench")
        view = self._view
        terminalreporter.write(end_tables(view, terminal_width(terminalreporter)))
        lines = end_lines(view)
        if self._setup.is_empty_shard:
            lines = [
                "this shard has no cell: the grid has fewer parts than there are shards "
                "(`bench plan` tells how many)"
            ]
        for line in (*lines, *self._baselines, *([self._reports] if self._reports else [])):
            terminalreporter.write_line(f"bench: {one_line(line)}")

    def _follow(self) -> None:
        follower = Follower(self._run.progress)
        if self._live is not None:
            stopped = False
            while not stopped:
                stopped = self._stop.wait(_LOOK_S)
                self._live.show(follower.new_events())
            self._live.stop()
            return
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        lines_of = ProgressLines(time.monotonic())
        stopped = False
        while not stopped:
            stopped = self._stop.wait(_LOOK_S)  # then read once more
            lines = lines_of.take(follower.new_events(), time.monotonic())
            if reporter is not None and lines:
                # xdist writes its dots without telling the reporter of the unfinished line.
                if reporter._tw.width_of_current_line:
                    reporter._tw.line()
                for line in lines:
                    reporter.write_line(f"bench: {one_line(line)}")


class ProgressLines:
    """Turns progress events into the lines worth a person's attention."""

    def __init__(self, now: float) -> None:
        self._running: dict[tuple[int, str, str], ProgressEvent] = {}
        self._done: dict[str, int] = {}
        self._last_line = now

    def take(self, events: list[ProgressEvent], now: float) -> list[str]:
        """The lines to show for `events` at the monotonic time `now`, in seconds."""
        lines = []
        for event in events:
            if event.kind == "note":
                lines.append(event.text)
                continue
            place = (event.pid, event.kind, event.task)
            # A wait has no end of its own; the next thing that the process does ends it.
            for other in [p for p in self._running if p[:2] == (event.pid, "wait")]:
                del self._running[other]
            if event.state in ("started", "update"):
                self._running[place] = event
            else:
                self._running.pop(place, None)
                self._done[event.kind] = self._done.get(event.kind, 0) + 1
            if event.kind in _ANNOUNCED and event.state in ("done", "failed"):
                lines.append(f"{event.kind} {event.task} {event.state} ({event.seconds:.1f} s)")
        if lines or now - self._last_line >= _STATUS_S:
            if self._running:
                lines.append(self._overview())
            self._last_line = now
        return lines

    def _overview(self) -> str:
        doing = "; ".join(
            f"{e.kind} {e.task} {e.text}".rstrip() for e in list(self._running.values())[:4]
        )
        done = ", ".join(f"{n} {kind}" for kind, n in sorted(self._done.items()))
        return f"{doing}" + (f" | done: {done}" if done else "")
