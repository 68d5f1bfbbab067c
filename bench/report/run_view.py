"""A finished run as reports see it; its directory is read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.records.cases import all_ended
from bench.records.lean import lean
from bench.records.reading import Unreadable
from bench.records.record import Record, SweepRecord, UnmeasuredRecord
from bench.records.run import OrderRecord, RunManifest
from bench.records.run_directory import RunDirectory
from bench.report.cases import CaseView, Findings, case_views, stray_views
from bench.report.junit import junit_xml
from bench.report.view.cells import CellView, cell_views
from bench.report.view.studies import Study, studies_of
from bench.report.view.summary import Summary, summary_of

__all__ = ["RunView", "read_run", "write_junit"]


@dataclass(frozen=True)
class RunView:
    """The data for all reports of a run."""

    #: All cells of the plan, whatever happened to them.
    planned: int
    #: Measured cells in the order of the plan.
    records: tuple[Record, ...]
    unmeasured: tuple[UnmeasuredRecord, ...]
    sweeps: tuple[SweepRecord, ...]
    #: The selected tests, in the order in which they were collected.
    cases: tuple[CaseView, ...]
    #: Files of the run that could not be read, and why. Each is also the error of a case.
    unreadable: tuple[Unreadable, ...] = ()
    orders: tuple[OrderRecord, ...] = ()
    #: All cells of the plan, in its order.
    cells: tuple[CellView, ...] = ()
    #: The run itself; None about which nothing is known yet.
    manifest: RunManifest | None = None
    #: The name of its directory.
    name: str = ""
    #: Whether every chosen test came to its end.
    complete: bool = False

    @cached_property
    def summary(self) -> Summary:
        """The run in counts."""
        return summary_of(self.cells, self.cases)

    @cached_property
    def lost(self) -> tuple[CellView, ...]:
        """The cells that were to be judged, and of which there is nothing: no record, no reason."""
        chosen = {case.case.subject for case in self.cases}
        return tuple(cell for cell in self.cells if cell.identity is None and cell.id in chosen)

    @cached_property
    def studies(self) -> tuple[Study, ...]:
        """Its measured cells, a study for each workload and target."""
        return studies_of(self.cells, self.sweeps)

    @classmethod
    def empty(cls) -> RunView:
        """A run about which nothing is known yet."""
        return cls(0, (), (), (), ())


def read_run(run: RunDirectory) -> RunView:
    """Everything in the directory, and what cannot be read of it.

    Raises `BenchError` if it is not the directory of a run.
    """
    manifest = run.manifest()
    planned = manifest.planned_cells
    cases = run.cases()
    # A report has all records at once.
    records = run.planned_records(lean)
    unmeasured, outcomes = run.unmeasured(), run.outcomes()
    sweeps, orders = run.sweeps(), run.orders()
    read = (cases, records, unmeasured, sweeps, orders, outcomes)
    unreadable = tuple(one for readings in read for one in readings.unreadable)
    findings = Findings.of(records.found, unmeasured.found, sweeps.found, orders.found, unreadable)
    views = case_views(cases.found, findings, outcomes.found)
    all_views = (*views, *stray_views(views, unreadable))
    return RunView(
        planned=len(planned),
        records=records.found,
        # One worker may have measured a cell before another could not.
        unmeasured=tuple(one for one in unmeasured.found if one.cell.id not in findings.records),
        sweeps=sweeps.found,
        cases=all_views,
        unreadable=unreadable,
        orders=orders.found,
        cells=cell_views(planned, findings.records, findings.unmeasured, all_views),
        manifest=manifest,
        name=run.path.resolve().name,
        complete=all_ended(cases.found, outcomes.found),
    )


def write_junit(run: RunDirectory, view: RunView) -> Path:
    """Write the JUnit file of the run and return its path. Raises `BenchError` if that fails."""
    manifest = run.manifest()
    records = {record.cell.id: record for record in view.records}
    return run.write_junit(
        junit_xml(view.cases, records, manifest.config_name, manifest.config_lines)
    )
