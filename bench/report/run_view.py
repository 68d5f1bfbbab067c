"""A finished run as reports see it; its directory is read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.records.reading import Unreadable
from bench.records.record import Record, SweepRecord, UnmeasuredRecord
from bench.records.run_directory import RunDirectory
from bench.report.cases import CaseView, Findings, case_views, stray_views
from bench.report.junit import junit_xml

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

    @classmethod
    def empty(cls) -> RunView:
        """A run about which nothing is known yet."""
        return cls(0, (), (), (), ())


def read_run(run: RunDirectory) -> RunView:
    """Everything in the directory, and what cannot be read of it.

    Raises `BenchError` if it is not the directory of a run.
    """
    planned = run.manifest().planned_cells
    cases = run.cases()
    records, unmeasured, outcomes = run.planned_records(), run.unmeasured(), run.outcomes()
    sweeps, orders = run.sweeps(), run.orders()
    read = (cases, records, unmeasured, sweeps, orders, outcomes)
    unreadable = tuple(one for readings in read for one in readings.unreadable)
    findings = Findings.of(records.found, unmeasured.found, sweeps.found, orders.found, unreadable)
    views = case_views(cases.found, findings, outcomes.found)
    return RunView(
        planned=len(planned),
        records=records.found,
        # One worker may have measured a cell before another could not.
        unmeasured=tuple(one for one in unmeasured.found if one.cell.id not in findings.records),
        sweeps=sweeps.found,
        cases=(*views, *stray_views(views, unreadable)),
        unreadable=unreadable,
    )


def write_junit(run: RunDirectory, view: RunView) -> Path:
    """Write the JUnit file of the run and return its path. Raises `BenchError` if that fails."""
    manifest = run.manifest()
    records = {record.cell.id: record for record in view.records}
    return run.write_junit(
        junit_xml(view.cases, records, manifest.config_name, manifest.config_lines)
    )
