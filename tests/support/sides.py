"""Sides of comparisons and run directories for tests, from the records of tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.history.side import Side, side_of_run
from bench.records.record import Record
from bench.records.run import RunManifest
from bench.records.run_directory import RunDirectory
from tests.support.records import dense_layer_record

__all__ = ["record_with", "side_of", "written_run"]


def record_with(name: str = "base", **parts: dict[str, object]) -> Record:
    """The record of variant `name`, with some fields of its parts replaced."""
    record = dense_layer_record(name)
    return record.model_copy(
        update={
            part: getattr(record, part).model_copy(update=fields) for part, fields in parts.items()
        }
    )


def written_run(path: Path, records: Iterable[Record], planned: Iterable[str] = ()) -> RunDirectory:
    """A run's directory with `records`, and with `planned` cells that have none."""
    records = list(records)
    manifest = RunManifest(
        started="2026-01-01T00:00:00",
        host="h",
        python="3",
        platform="p",
        config_path="bench.toml",
        config_sha256="0" * 64,
        data="subset",
        planned_cells=(*(record.cell.id for record in records), *planned),
    )
    run = RunDirectory.create(path, manifest)
    for record in records:
        run.write_record(record)
    return run


def side_of(path: Path, *records: Record) -> Side:
    """The side of a run with these records."""
    return side_of_run(written_run(path, records))
