"""Several runs as the directory of one: the shards of a grid, and cells that were run again.

Where runs overlap, the later one counts. A planned cell of which no run has anything is INCOMPLETE,
so a lost shard cannot make the whole look better.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeVar

from bench.core.errors import BenchError
from bench.records.cases import Case, CaseOutcome, Selection, in_plan_order
from bench.records.reading import Readings
from bench.records.record import Record, SweepRecord, UnmeasuredRecord
from bench.records.run import OrderRecord, RunManifest
from bench.records.run_directory import RunDirectory

__all__ = ["LOST", "NOT_REPORTED", "join_runs", "joined_manifest", "require_one_grid"]

#: The error of a cell that no run has reported, and its words.
NOT_REPORTED = "NotReported"
LOST = "no run reports it: a shard is missing, or was not merged"
_SEVERAL = "several"
_Item = TypeVar("_Item")


def require_one_grid(manifests: Sequence[RunManifest]) -> None:
    """Raise `BenchError` unless runs of these can be joined.

    They must be of one configuration, one commit and the same tools: nobody could say what figures
    of a mixture mean.
    """
    if not manifests:
        raise BenchError("there is no run to merge", cure="name the directories of runs")
    if len({manifest.config_sha256 for manifest in manifests}) > 1:
        raise BenchError(
            "the runs are of different configurations, so nothing says what was planned",
            cure="merge shards and repetitions of one configuration",
        )
    commits = {m.surroundings.revision.commit for m in manifests} - {""}
    if len(commits) > 1:
        raise BenchError(
            f"the runs are of different commits: {', '.join(sorted(c[:12] for c in commits))}",
            cure="merge shards and repetitions of one commit",
        )
    first = manifests[0].surroundings.tools
    for manifest in manifests[1:]:
        other = manifest.surroundings.tools
        for name in sorted({*first, *other}):
            if first.get(name) != other.get(name):
                raise BenchError(
                    f"the runs were made with different tools: {name} {first.get(name, 'absent')} "
                    f"and {other.get(name, 'absent')}",
                    cure="run all shards in the same environment, such as one container image",
                )


def joined_manifest(manifests: Sequence[RunManifest]) -> RunManifest:
    """The manifest of the whole; `manifests` are in the order of their runs, and of one grid."""
    first, last = manifests[0], manifests[-1]
    hosts = {manifest.host for manifest in manifests}
    cells = dict.fromkeys(cell for manifest in manifests for cell in manifest.grid_cells)
    timing = {name: profile for m in manifests for name, profile in m.timing.items()}
    return last.model_copy(
        update={
            "started": first.started,
            "host": last.host if len(hosts) == 1 else _SEVERAL,
            "planned_cells": tuple(cells),
            "timing": timing,
            "shard": None,
        }
    )


def join_runs(runs: Sequence[RunDirectory], path: Path) -> RunDirectory:
    """Write what `runs` found as a new run at `path`, of which every report can be made.

    Raises `BenchError` if they are not of one grid, something in them cannot be read, or `path` is
    there already or cannot be written.
    """
    ordered = sorted(runs, key=lambda run: run.manifest().started)
    manifests = [run.manifest() for run in ordered]
    require_one_grid(manifests)
    whole = joined_manifest(manifests)
    found = _Found()
    for run in ordered:
        found.add(run)
    joined = RunDirectory.make(path, whole)
    for cell in whole.planned_cells:
        outcome = found.cells.get(cell)
        if isinstance(outcome, Record):
            joined.write_record(outcome)
        elif outcome is not None:
            joined.write_unmeasured(outcome)
    for sweep in found.sweeps.values():
        joined.write_sweep(sweep)
    for order in found.orders.values():
        joined.write_order(order)
    lost = tuple(_lost_cases(whole.planned_cells, found.cases.values()))
    cases = in_plan_order((*found.cases.values(), *lost), whole.planned_cells)
    joined.write_selection(Selection(cases=cases))
    for ended in (*chain.from_iterable(found.outcomes.values()), *map(_not_reported, lost)):
        joined.append_outcome(ended)
    return joined


@dataclass
class _Found:
    """What the runs so far have found; what a later one adds replaces it."""

    cells: dict[str, Record | UnmeasuredRecord] = field(default_factory=dict)
    sweeps: dict[str, SweepRecord] = field(default_factory=dict)
    orders: dict[str, OrderRecord] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    outcomes: dict[str, list[CaseOutcome]] = field(default_factory=dict)

    def add(self, run: RunDirectory) -> None:
        """Take what `run` has."""
        self.cells |= {one.cell.id: one for one in _all(run, run.unmeasured())}
        # One worker may have measured a cell before another could not.
        self.cells |= {one.cell.id: one for one in _all(run, run.planned_records())}
        self.sweeps |= {one.id: one for one in _all(run, run.sweeps())}
        self.orders |= {one.id: one for one in _all(run, run.orders())}
        self.cases |= {one.nodeid: one for one in _all(run, run.cases())}
        own: dict[str, list[CaseOutcome]] = {}
        for outcome in _all(run, run.outcomes()):
            own.setdefault(outcome.nodeid, []).append(outcome)
        self.outcomes |= own


def _all(run: RunDirectory, readings: Readings[_Item]) -> tuple[_Item, ...]:
    if readings.unreadable:
        raise BenchError(
            f"{run.path}: {readings.unreadable[0]}",
            cure="restore the file; without the run, its cells are INCOMPLETE",
        )
    return readings.found


def _not_reported(case: Case) -> CaseOutcome:
    return CaseOutcome(
        nodeid=case.nodeid, outcome="failed", seconds=0, text=LOST, error=NOT_REPORTED
    )


def _lost_cases(planned: Iterable[str], cases: Iterable[Case]) -> Iterator[Case]:
    """A case for each planned cell and suite of which no run has one."""
    single = [case for case in cases if len(case.cells) == 1]
    known = {(case.subject, case.suite) for case in single}
    nodes = {case.suite: case.nodeid.partition("[")[0] for case in single}
    nodes = nodes or {"unreported": "unreported"}
    for suite, node in nodes.items():
        for cell in planned:
            if (cell, suite) not in known:
                yield Case(suite=suite, subject=cell, nodeid=f"{node}[{cell}]", cells=(cell,))
