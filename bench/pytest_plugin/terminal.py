"""What the terminal shows: progress while work is done, tables and files at the end."""

from __future__ import annotations

import shutil
import threading
import time
from typing import Any

import pytest

from bench.files import write_atomically
from bench.progress import Follower, ProgressEvent
from bench.record import Status
from bench.report.junit import merged_junit
from bench.report.table import render, unavailable_table, workload_tables
from bench.run import RunDirectory

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

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin to follow the workers' progress."""
        self._thread = threading.Thread(target=self._follow, name="bench-progress", daemon=True)
        self._thread.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stop following; a run that measured no cell has failed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if session.exitstatus == pytest.ExitCode.OK and not self._run.records():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the tables, say how much of the plan was measured, write the merged JUnit."""
        records, sweeps, orders = self._run.records(), self._run.sweeps(), self._run.orders()
        unavailable = self._run.unavailable()
        planned = len(self._run.manifest().planned_cells)
        terminalreporter.section("Ethos-U55 regression bench")
        position = {id_: i for i, id_ in enumerate(self._run.manifest().planned_cells)}
        records.sort(key=lambda r: position[r.cell.id])
        width = max(shutil.get_terminal_size().columns, _TABLE_WIDTH)
        tables = workload_tables(records, sweeps) + unavailable_table(unavailable)
        terminalreporter.write(render(tables, width))
        verdicts = [v for r in records for v in r.verdicts]
        verdicts += [u.verdict for u in unavailable]
        verdicts += [s.verdict for s in sweeps] + [v for o in orders for v in o.verdicts]
        counts = ", ".join(
            f"{n} {status.value.upper()}"
            for status in Status
            if (n := sum(v.status is status for v in verdicts))
        )
        measured = f"{len(records)} of {planned} planned cells measured"
        if unavailable:
            measured += f", {len(unavailable)} UNAVAILABLE"
        if not records:
            measured += ": a run without a figure has failed"
            if not unavailable:
                terminalreporter.write_line(f"bench: {measured}")
                return
        terminalreporter.write_line(f"bench: {measured}; verdicts: {counts}")
        merged = self._run.path / "junit.xml"
        write_atomically(merged, merged_junit(records, sweeps, orders, unavailable))
        terminalreporter.write_line(f"bench: records {self._run.path / 'cells'}, JUnit {merged}")

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
