"""What reports cost: the page, the JUnit file and the terminal's summary of a grid of many cells.

`python -m benchmarks.report_speed RUN` takes the records of a run (`results/latest`), gives each as
many times as `--cells` needs under other ids, and prints the processor time and the size of each
report. The exit status is 1 if a promise is broken. For 10,000 cells these are: the page within
15 s and 30 MB, the JUnit file within 5 s in parts below 25 MB, and the terminal's end within 1 s.

Reading the records from the disk takes at most three times as long as their JSON alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

from bench.judging.suites import SUITES
from bench.records.cases import Case, CaseOutcome
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from bench.report.cases import Findings, case_views
from bench.report.exports.metrics import openmetrics_text
from bench.report.html.library import chart_library
from bench.report.html.page import run_page
from bench.report.merging import junit_parts, merge_runs
from bench.report.pull_request import pull_request_markdown
from bench.report.run_history import HistoryView
from bench.report.run_view import RunView
from bench.report.table import brief_tables, render
from bench.report.view.cells import cell_views
from benchmarks.json_file import add_json_option, write_json

#: For this many cells: seconds and megabytes.
PROMISED = 10_000
PAGE_S, PAGE_MB = 15.0, 30.0
JUNIT_S, JUNIT_MB = 5.0, 25.0
END_S = 1.0
#: Relative to the JSON alone.
READING = 3.0
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Cost:
    """What one report cost."""

    name: str
    seconds: float
    megabytes: float
    promised_s: float | None = None
    promised_mb: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the promise holds."""
        late = self.promised_s is not None and self.seconds > self.promised_s
        large = self.promised_mb is not None and self.megabytes > self.promised_mb
        return not late and not large


def many_cells(records: list[Record], count: int) -> list[Record]:
    """`count` records like these, each workload under a name of its own."""
    made = []
    for i, record in enumerate(islice(cycle(records), count)):
        number = i // len(records)
        workload = f"{record.cell.workload}{number}"
        identity = record.cell.model_copy(
            update={
                "id": record.cell.id.replace(record.cell.workload, workload, 1),
                "workload": workload,
            }
        )
        made.append(record.model_copy(update={"cell": identity}))
    return made


def view_of(run: RunDirectory, records: list[Record]) -> RunView:
    """A run of these records as its reports see it, every test of which has passed."""
    cases = [
        Case(suite=suite, subject=r.cell.id, nodeid=f"{suite}[{r.cell.id}]", cells=(r.cell.id,))
        for r in records
        for suite in SUITES
    ]
    ended = [CaseOutcome(nodeid=case.nodeid, outcome="passed", seconds=0.1) for case in cases]
    findings = Findings.of(records, (), (), ())
    views = tuple(case_views(cases, findings, ended))
    ids = [record.cell.id for record in records]
    manifest = run.manifest().model_copy(update={"planned_cells": tuple(ids)})
    return RunView(
        planned=len(records),
        records=tuple(records),
        unmeasured=(),
        sweeps=(),
        cases=views,
        cells=cell_views(ids, findings.records, {}, views),
        manifest=manifest,
        name="many",
    )


def timed(make: Callable[[], _Made]) -> tuple[_Made, float]:
    """What `make` gives, and the processor time of it."""
    start = time.process_time()
    made = make()
    return made, time.process_time() - start


def fresh(view: RunView) -> RunView:
    """The same without what an earlier report has worked out."""
    cells = tuple(replace(cell) for cell in view.cells)
    return replace(view, cells=cells)


def costs(view: RunView, library: str) -> list[Cost]:
    """The cost of each report of `view`."""
    page, page_s = timed(lambda: run_page(fresh(view), library, HistoryView(), {}))
    merged, merge_s = timed(lambda: merge_runs([view]))
    parts, junit_s = timed(lambda: junit_parts(merged, int(JUNIT_MB * 1_000_000)))
    largest = max(len(part.encode("utf-8")) for part in parts)
    end, end_s = timed(lambda: render(brief_tables(fresh(view).studies, 100), 100))
    metrics, metrics_s = timed(lambda: openmetrics_text(fresh(view)))
    comment, comment_s = timed(lambda: pull_request_markdown(fresh(view), "results/latest"))
    return [
        Cost("page", page_s, _megabytes(page), PAGE_S, PAGE_MB),
        Cost(f"JUnit in {len(parts)} parts", merge_s + junit_s, largest / 1e6, JUNIT_S, JUNIT_MB),
        Cost("end of the terminal", end_s, _megabytes(end), END_S),
        Cost("OpenMetrics", metrics_s, _megabytes(metrics)),
        Cost("pull request", comment_s, _megabytes(comment)),
    ]


def reading_costs(run: RunDirectory) -> tuple[float, float]:
    """Milliseconds for each record of `run`: of its JSON alone, and to read and validate it."""
    paths = sorted((run.path / "cells").glob("*.json"))
    bare = min(timed(lambda: [json.loads(p.read_bytes()) for p in paths])[1] for _ in range(5))
    whole = min(timed(run.records)[1] for _ in range(5))
    return 1000 * bare / max(1, len(paths)), 1000 * whole / max(1, len(paths))


def _megabytes(text: str) -> float:
    return len(text.encode("utf-8")) / 1e6


def main() -> int:
    """Returns 1 if a promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the directory of a run: results/latest")
    parser.add_argument("--cells", type=int, default=PROMISED)
    add_json_option(parser)
    arguments = parser.parse_args()
    run = RunDirectory(arguments.run)
    bare, each = reading_costs(run)
    records = many_cells(list(run.records().found), arguments.cells)
    view = view_of(run, records)
    found = costs(view, chart_library())
    read = each <= READING * bare
    print(
        f"{len(records):,} cells; reading a record takes {each:.2f} ms, {each / bare:.1f} times "
        f"its JSON, promised {READING:g}{'' if read else '  BROKEN'}"
    )
    for cost in found:
        promise = "" if cost.promised_s is None else f", promised {cost.promised_s:g} s"
        promise += "" if cost.promised_mb is None else f" and {cost.promised_mb:g} MB"
        kept = "" if cost.kept else "  BROKEN"
        print(f"{cost.name}: {cost.seconds:.2f} s, {cost.megabytes:.1f} MB{promise}{kept}")
    write_json(
        arguments.json,
        {
            "cells": len(records),
            "read_ms": each,
            "read_to_json": each / bare,
            "read_kept": read,
            "reports": {
                cost.name.split()[0]: {
                    "seconds": cost.seconds,
                    "megabytes": cost.megabytes,
                    "promised_s": cost.promised_s,
                    "promised_mb": cost.promised_mb,
                }
                for cost in found
            },
        },
    )
    promised = arguments.cells <= PROMISED
    return int(not read or (promised and not all(cost.kept for cost in found)))


if __name__ == "__main__":
    sys.exit(main())
