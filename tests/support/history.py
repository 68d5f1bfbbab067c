"""Runs for tests of the history: rows of real records, and whole stores of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from bench.history.rows import RunRows, rows_of_run
from bench.records.record import Record
from bench.records.run import CiJob, Revision, RunManifest, Surroundings
from tests.support.records import dense_layer_record

__all__ = ["CELL", "changed", "manifest", "run_rows", "with_cycles"]

#: The cell of `dense_layer_record("base")`.
CELL = "w-base-u55_128-shared_sram-vela"
_FIRST = datetime(2026, 11, 1, 3, 0, tzinfo=timezone.utc)


def changed(record: Record, part: str, **update: object) -> Record:
    """`record` with other values in one of its parts."""
    return record.model_copy(update={part: getattr(record, part).model_copy(update=update)})


def with_cycles(record: Record, cycles: int) -> Record:
    """`record` with another count of cycles."""
    counters = {**record.measurement.counters, "NPU_ACTIVE": cycles}
    return changed(record, "measurement", counters=counters)


def manifest(
    number: int,
    *,
    commit: str = "",
    branch: str = "main",
    dirty: bool = False,
    host: str = "h",
    cells: Sequence[str] = (CELL,),
) -> RunManifest:
    """The manifest of the nightly run of that number."""
    commit = commit or f"{number:040x}"
    return RunManifest(
        started=(_FIRST + timedelta(days=number)).strftime("%Y-%m-%dT%H:%M:%S%z"),
        host=host,
        python="3.11",
        platform="p",
        config_path="/c/bench.toml",
        config_sha256="",
        data="d",
        planned_cells=tuple(cells),
        surroundings=Surroundings(
            revision=Revision(commit=commit, branch=branch, dirty=dirty),
            ci_job=CiJob(address=f"https://ci/{number}"),
            tools={"ethos-u-vela": "5.2.0"},
        ),
    )


def run_rows(
    number: int,
    records: Sequence[Record] | None = None,
    *,
    complete: bool = True,
    **about: object,
) -> RunRows:
    """The rows of the nightly run of that number, with one cell unless `records` are given."""
    records = [dense_layer_record("base")] if records is None else records
    told = manifest(number, cells=[r.cell.id for r in records], **about)  # type: ignore[arg-type]
    return rows_of_run(f"run-{number:04}", told, records, (), complete=complete)
