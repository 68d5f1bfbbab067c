"""What came back from the cluster, cell by cell, on the disk: ten thousand records are large."""

from __future__ import annotations

from pathlib import Path

from bench.cluster.making import Failure
from bench.core.errors import BenchError, ClusterError
from bench.core.plain_json import read_model
from bench.plan.cell import Cell
from bench.records.record import Record

__all__ = ["Outcomes"]


class Outcomes:
    """The outcome of each cell, once. Records are kept in a directory of the caller's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._failures: dict[str, BenchError] = {}
        self._records: set[str] = set()

    def put(self, cell_id: str, outcome: bytes | Failure | BenchError) -> None:
        """Keep the outcome of a cell. Only the first counts: Dask may give two."""
        if cell_id in self._records or cell_id in self._failures:
            return
        if isinstance(outcome, bytes):
            (self._directory / f"{cell_id}.json").write_bytes(outcome)
            self._records.add(cell_id)
        else:
            error = outcome if isinstance(outcome, BenchError) else outcome.error()
            self._failures[cell_id] = error

    def record(self, cell: Cell) -> Record:
        """The record of a cell. Raises the `BenchError` for which there is none."""
        if cell.id in self._failures:
            raise self._failures[cell.id]
        if cell.id not in self._records:
            raise ClusterError(f"{cell.id}: the cluster was not asked for it")
        return read_model((self._directory / f"{cell.id}.json").read_bytes(), Record)
