"""What the terminal shows: progress while work is done, tables and files at the end."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.measuring.progress import Follower, ProgressEvent
from bench.records.record import Record, Status, SweepRecord, UnavailableRecord
from bench.records.run_directory import OrderRecord, RunDirectory
from bench.report.junit import merged_junit
from bench.report.table import render, unavailable_table, workload_tables

__all__ = ["ProgressLines", "TerminalReport"]

#: Seconds between looks at the progress file, and between two status lines.
_LOOK_S = 0.5
_STATUS_S = 5.0
#: Work of these kinds is announced when it starts and ends; other work is only counted.
_ANNOUNCED = frozenset({"train", "download"})
_TABLE_WIDTH = 170


class TerminalReport:
    """Registered in the controller only, so it alone writes to the terminal."""

    def __init__(self, run: RunDirectory, config: pytest.Config) -> None:
        self._run = run
        self._config = config
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._records: list[Record] = []
        self._sweeps: list[SweepRecord] = []
        self._orders: list[OrderRecord] = []
        self._unavailable: list[UnavailableRecord] = []
        #: Where the reports lie, or why they do not.
        self._reports = ""

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin to follow the workers' progress."""
        self._thread = threading.Thread(target=self._follow, name="bench-progress", daemon=True)
        self._thread.start()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Write the reports. A run that measured no cell, or cannot keep them, has failed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        missing = self._read_and_merge()
        try:
            # Here pytest writes its JUnit file, and would end in a traceback on a full disk:
            # the user would not learn what the tests have to say of that disk.
            yield
        except OSError as error:
            missing = f"{self._config.option.xmlpath}: {error.strerror}"
        if missing:
            self._reports = f"a report is missing: {missing}"
        if session.exitstatus == pytest.ExitCode.OK and (missing or not self._records):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _read_and_merge(self) -> str:
        """Read what the workers found, and write the merged JUnit; why that failed, or nothing."""
        run = self._run
        self._records = run.planned_records()
        self._sweeps, self._orders = run.sweeps(), run.orders()
        self._unavailable = run.unavailable()
        if self._records or self._unavailable:
            try:
                merged = run.write_junit(
                    merged_junit(self._records, self._sweeps, self._orders, self._unavailable)
                )
            except BenchError as error:
                return str(error)
            self._reports = f"records {run.path / 'cells'}, JUnit {merged}"
        return ""

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the tables, and say how much of the plan was measured and where it is kept."""
        terminalreporter.section("Ethos-U55 regression bench")
        width = max(shutil.get_terminal_size().columns, _TABLE_WIDTH)
        tables = workload_tables(self._records, self._sweeps) + unavailable_table(self._unavailable)
        terminalreporter.write(render(tables, width))
        verdicts = [v for r in self._records for v in r.verdicts]
        verdicts += [u.verdict for u in self._unavailable]
        verdicts += [s.verdict for s in self._sweeps]
        verdicts += [v for o in self._orders for v in o.verdicts]
        counts = ", ".join(
            f"{n} {status.value.upper()}"
            for status in Status
            if (n := sum(v.status is status for v in verdicts))
        )
        planned = len(self._run.manifest().planned_cells)
        measured = f"{len(self._records)} of {planned} planned cells measured"
        if self._unavailable:
            measured += f", {len(self._unavailable)} UNAVAILABLE"
        told = [f"verdicts: {counts}"] if counts else []
        if not self._records:
            told.insert(0, "a run without a figure has failed")
        terminalreporter.write_line(f"bench: {'; '.join([measured, *told])}")
        if self._reports:
            terminalreporter.write_line(f"bench: {self._reports}")

    def _follow(self) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        follower = Follower(self._run.progress)
        lines_of = ProgressLines(time.monotonic())
        while not self._stop.wait(_LOOK_S):
            lines = lines_of.take(follower.new_events(), time.monotonic())
            if reporter is not None and lines:
                # xdist writes its dots without telling the reporter of the unfinished line.
                if reporter._tw.width_of_current_line:
                    reporter._tw.line()
                for line in lines:
                    reporter.write_line(f"bench: {line}")


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
            place = (event.pid, event.kind, event.task)
            # A wait has no end of its own: whatever the process does next ends it.
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
