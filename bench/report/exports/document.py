"""A run as one JSON document, for programs; `bench schema export` prints its JSON Schema."""

from __future__ import annotations

from typing import Literal

from bench.core.schema import RecordModel
from bench.records.provenance import Provenance, provenance_of
from bench.report.cases import CaseView
from bench.report.run_view import RunView
from bench.report.view.cells import CellView

__all__ = ["ExportedCase", "ExportedCell", "ExportedFigure", "ExportedRun", "exported_run"]


class ExportedFigure(RecordModel):
    """A metric of a cell."""

    metric: str
    unit: str
    #: None for the reason in `absent`.
    value: float | None
    #: Between which figures an estimate could lie; None if the target cannot tell.
    low: float | None
    high: float | None
    absent: str
    #: The accepted figure; None if there is none.
    accepted: float | None
    #: `regressed`, `improved`, `unchanged` or `new`.
    outcome: str
    #: What the configuration demands, in words.
    limit: str
    #: The verdict that decides; empty if nothing was judged.
    status: str
    fails: bool
    reason: str
    #: The first difference between what the accepted figure and this one were made from.
    cause: str


class ExportedCell(RecordModel):
    """A planned cell."""

    id: str
    workload: str | None
    variant: str | None
    macs: int | None
    memory_mode: str | None
    target: str | None
    system_config: str | None
    timing: str | None
    vela: str | None
    #: Where its counters come from; None if it was not measured.
    source: str | None
    #: For what of it nobody has published cycles, such as `int16`.
    unsupported: tuple[str, ...]
    status: str
    fails: bool
    headline: str
    outcome: str
    figures: tuple[ExportedFigure, ...]
    made: Provenance | None
    explanation: str


class ExportedCase(RecordModel):
    """A test of the run, as `junit.xml` has it."""

    name: str
    status: str
    fails: bool
    headline: str
    error: str
    seconds: float


class ExportedRun(RecordModel):
    """A run."""

    schema_version: Literal[1] = 1
    name: str
    started: str
    commit: str
    branch: str
    ci_job: str
    #: Distribution -> version.
    tools: dict[str, str]
    planned: int
    measured: int
    tests: int
    failed: int
    cells: tuple[ExportedCell, ...]
    cases: tuple[ExportedCase, ...]
    #: Files of the run that cannot be read, and why.
    unreadable: tuple[str, ...]


def exported_run(view: RunView) -> ExportedRun:
    """The run as a document."""
    manifest = view.manifest
    surroundings = manifest.surroundings if manifest else None
    summary = view.summary
    return ExportedRun(
        name=view.name,
        started=manifest.started if manifest else "",
        commit=surroundings.revision.commit if surroundings else "",
        branch=surroundings.revision.branch if surroundings else "",
        ci_job=surroundings.ci_job.address if surroundings else "",
        tools=surroundings.tools if surroundings else {},
        planned=summary.planned,
        measured=summary.measured,
        tests=summary.tests,
        failed=summary.failed,
        cells=tuple(_cell(cell) for cell in view.cells),
        cases=tuple(_case(case) for case in view.cases),
        unreadable=tuple(str(one) for one in view.unreadable),
    )


def _cell(cell: CellView) -> ExportedCell:
    identity, record = cell.identity, cell.record
    return ExportedCell(
        id=cell.id,
        workload=identity.workload if identity else None,
        variant=identity.variant if identity else None,
        macs=int(identity.macs) if identity else None,
        memory_mode=identity.memory_mode.value if identity else None,
        target=identity.target if identity else None,
        system_config=identity.system_config if identity else None,
        timing=identity.timing if identity else None,
        vela=record.compilation.vela_version if record else None,
        source=record.measurement.source.value if record else None,
        unsupported=record.measurement.unsupported if record else (),
        status=cell.status.value,
        fails=cell.fails,
        headline=cell.headline,
        outcome=cell.change.value,
        figures=tuple(
            ExportedFigure(
                metric=figure.metric.value,
                unit=figure.unit,
                value=figure.value,
                low=figure.could_be[0] if figure.could_be else None,
                high=figure.could_be[1] if figure.could_be else None,
                absent=figure.absent,
                accepted=figure.before,
                outcome=figure.change.value,
                limit=figure.limit,
                status=figure.status.value if figure.status else "",
                fails=figure.fails,
                reason=figure.reason,
                cause=figure.cause,
            )
            for figure in cell.figures.values()
        ),
        made=provenance_of(record) if record else None,
        explanation=record.measurement.explanation if record else "",
    )


def _case(case: CaseView) -> ExportedCase:
    return ExportedCase(
        name=case.name,
        status=case.status.value,
        fails=case.fails,
        headline=case.headline,
        error=case.error,
        seconds=case.seconds,
    )
