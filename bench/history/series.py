"""A figure over the runs, as it is read from the store."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Point", "RunSummary", "Selection", "Series"]


@dataclass(frozen=True)
class RunSummary:
    """A run, as lists show it."""

    name: str
    #: As its manifest has it, with the zone.
    started: str
    #: The same, in seconds since 1970 (UTC).
    started_s: int
    host: str
    complete: bool
    planned_cells: int
    measured_cells: int
    #: The whole hash; empty for the reason in `revision_absent`.
    revision: str
    branch: str
    dirty: bool
    revision_absent: str
    ci_job: str
    #: Distribution -> version.
    tools: dict[str, str]


@dataclass(frozen=True)
class Point:
    """One figure of one run."""

    run: RunSummary
    #: None for the reason in `absent`.
    value: float | None
    absent: str
    #: One of `FigureSource`, or of a later bench's; empty if the bench did not keep the figure.
    source: str
    model_origin: str
    model_sha256: str
    vela_version: str
    #: From what the figure comes, as JSON; empty if the cell was not measured. Equal texts are
    #: equal provenances.
    provenance: str


@dataclass(frozen=True)
class Series:
    """The figures of one metric of one cell, oldest run first."""

    metric: str
    cell: str
    unit: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Selection:
    """Which runs to look at."""

    #: Only those of this branch; empty = all.
    branch: str = ""
    #: Only those that started at this time or later, in seconds since 1970; None = all.
    since_s: int | None = None
