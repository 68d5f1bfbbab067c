"""A finished run as reports see it, read from its directory once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.records.record import Record, SweepRecord, UnmeasuredRecord
from bench.records.run_directory import RunDirectory
from bench.report.cases import CaseView, Findings, case_views
from bench.report.junit import junit_xml

__all__ = ["RunView", "read_run", "write_junit"]


@dataclass(frozen=True)
class RunView:
    """What all reports of a run are made from."""

    #: Cells of the plan, whatever became of them.
    planned: int
    #: Measured cells in the order of the plan.
    records: tuple[Record, ...]
    unmeasured: tuple[UnmeasuredRecord, ...]
    sweeps: tuple[SweepRecord, ...]
    #: The tests that were chosen, in the order they were collected.
    cases: tuple[CaseView, ...]
    #: Files of the run that could not be read, and why.
    unreadable: tuple[str, ...] = ()

    @classmethod
    def empty(cls) -> RunView:
        """A run of which nothing is known yet."""
        return cls(0, (), (), (), ())


def read_run(run: RunDirectory) -> RunView:
    """Everything the directory holds. Raises `BenchError` where it is no run's."""
    manifest = run.manifest()
    records = tuple(run.planned_records())
    unmeasured, sweeps, orders = run.unmeasured(), run.sweeps(), run.orders()
    findings = Findings.of(records, unmeasured, sweeps, orders)
    cases = case_views(run.selection().cases, findings, run.outcomes())
    return RunView(
        planned=len(manifest.planned_cells),
        records=records,
        # What one worker could not measure another may have measured before.
        unmeasured=tuple(one for one in unmeasured if one.cell.id not in findings.records),
        sweeps=tuple(sweeps),
        cases=tuple(cases),
    )


def write_junit(run: RunDirectory, view: RunView) -> Path:
    """Write the JUnit file of the run; its path. Raises `BenchError` where that fails."""
    manifest = run.manifest()
    records = {record.cell.id: record for record in view.records}
    return run.write_junit(
        junit_xml(view.cases, records, manifest.config_name, manifest.config_lines)
    )
