"""The directory of one run: its manifest, a record for each cell, reports, progress."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.files import replace_symlink, write_atomically, write_whole
from bench.core.schema import RecordModel
from bench.plan.cell import Cell
from bench.records.cases import Case, CaseOutcome, Selection
from bench.records.reading import (
    Readings,
    Unreadable,
    read_folder,
    read_lines,
    read_named,
    read_record,
    require_strict,
)
from bench.records.record import Record, SweepRecord, UnmeasuredRecord
from bench.records.run import OrderRecord, RunManifest

__all__ = ["WORKER_VARIABLE", "RunDirectory", "run_name", "worker_name"]

#: Has the name of a process of the run: xdist sets it in its workers, and we in ours.
WORKER_VARIABLE = "PYTEST_XDIST_WORKER"

_OTHER_RESULTS = "make room or give access there, or name another place: --bench-results=DIR"


def run_name() -> str:
    """A name for a run that starts now: sorts by time, and two at once differ."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def worker_name() -> str:
    """The name of this process among those of the run, or `main`."""
    return os.environ.get(WORKER_VARIABLE, "main")


def _text(path: Path, record: RecordModel, indent: int | None = None) -> str:
    """What the file at `path` says of `record`: JSON, and a line end.

    Raises `BenchError` where nobody could read it: that would turn out when the run is over, and
    its figures would be lost.
    """
    try:
        text = record.model_dump_json(indent=indent)
        require_strict(text)
    except ValueError as error:
        raise BenchError(f"{path}: is not written, as nobody could read it: {error}") from error
    return text + "\n"


def _cell_id(record: Record | UnmeasuredRecord) -> str:
    return record.cell.id


@contextmanager
def _needed(path: Path, model: type[RecordModel]) -> Iterator[None]:
    """Raise `BenchError` where the file at `path`, which cannot be done without, is not read."""
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read: {error.strerror}",
            cure="name the directory of a run; `pytest -n auto` makes one under results/",
        ) from error
    except ValueError as error:
        raise BenchError(f"{path}: is no {model.__name__} of this version: {error}") from None


def _not_made(run: RunDirectory, error: OSError) -> BenchError:
    return BenchError(
        f"{run.path}: the results directory cannot be made: {error}", cure=_OTHER_RESULTS
    )


class RunDirectory:
    """`results/<run>`: written by many workers, one file a cell, each file atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, manifest: RunManifest) -> RunDirectory:
        """Make the directory of a new run and point `latest` beside it at it.

        Raises:
            BenchError: the directory cannot be made.
        """
        run = cls.make(path, manifest)
        try:
            replace_symlink(path.parent / "latest", path.name)
        except OSError as error:
            raise _not_made(run, error) from error
        return run

    @classmethod
    def make(cls, path: Path, manifest: RunManifest) -> RunDirectory:
        """Make the directory of a run, and nothing beside it. Raises as `create` does."""
        run = cls(path)
        try:
            for part in ("cells", "sweeps", "orders", "unmeasured", "workers"):
                (run.path / part).mkdir(parents=True)
            note = run.path / "run.json"
            write_atomically(note, _text(note, manifest, indent=2))
        except OSError as error:
            raise _not_made(run, error) from error
        return run

    @property
    def progress(self) -> Path:
        """Where workers append what they are doing."""
        return self.path / "progress.jsonl"

    @property
    def logs(self) -> Path:
        """Where targets keep what their devices said."""
        return self.path / "logs"

    def log(self, process: str) -> Path:
        """What `process` has to say beside figures: waits, retries, fallbacks."""
        return self.logs / f"bench-{process}.log"

    @property
    def page(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    def write_record(self, record: Record) -> Path:
        """Store the record of one cell."""
        return self._write("cells", record.cell.id, record)

    @contextmanager
    def working_on(self, cell: Cell) -> Iterator[None]:
        """Leave a note, while the block runs, of what this worker measures.

        A worker that dies leaves it behind, so that the cell is not given to another.
        """
        note = self.path / "workers" / worker_name()
        try:
            note.write_text(cell.id, encoding="utf-8")
        except OSError as error:
            raise BenchError(f"{note}: {error.strerror}", cure=_OTHER_RESULTS) from error
        try:
            yield
        finally:
            note.unlink(missing_ok=True)

    def died_on(self, worker: str) -> str | None:
        """The id of the cell that `worker` measured when it died; None if it measured none."""
        note = self.path / "workers" / worker
        return note.read_text(encoding="utf-8") if note.exists() else None

    def write_sweep(self, record: SweepRecord) -> Path:
        """Store the outcome of one MAC sweep."""
        return self._write("sweeps", record.id, record)

    def write_unmeasured(self, record: UnmeasuredRecord) -> Path:
        """Note that a cell could not be measured."""
        return self._write("unmeasured", record.cell.id, record)

    def write_order(self, record: OrderRecord) -> Path:
        """Store the judged order of one configuration."""
        return self._write("orders", record.id, record)

    def write_selection(self, selection: Selection) -> Path:
        """Note which tests were chosen."""
        path = self.path / "selection.json"
        return self._write_text(path, _text(path, selection))

    def cases(self) -> Readings[Case]:
        """The tests that were chosen. Without them it is known what was found, not what is missing.

        A run that ended before it had any has noted none.
        """
        name = "selection.json"
        try:
            return Readings(read_record(self.path / name, Selection).cases)
        except FileNotFoundError as error:
            ran = (self.path / "outcomes.jsonl").exists()
            return Readings((), (Unreadable.of(name, error),) if ran else ())
        except (OSError, ValueError) as error:
            return Readings((), (Unreadable.of(name, error),))

    def append_outcome(self, *outcomes: CaseOutcome) -> None:
        """Note how tests ended. Called by one process only."""
        path = self.path / "outcomes.jsonl"
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.writelines(_text(path, outcome) for outcome in outcomes)
        except OSError as error:
            raise BenchError(
                f"{path}: cannot be written: {error.strerror}", cure=_OTHER_RESULTS
            ) from error

    def outcomes(self) -> Readings[CaseOutcome]:
        """How the tests ended, in that order; one that is half written is left out."""
        return read_lines(self.path, "outcomes.jsonl", CaseOutcome)

    @property
    def baselines(self) -> Path:
        """The accepted figures that the run is judged against, as they were when it began."""
        return self.path / "baselines.json"

    def write_junit(self, text: str) -> Path:
        """Store the merged JUnit file."""
        return self._write_text(self.path / "junit.xml", text)

    def _write(self, part: str, name: str, record: RecordModel) -> Path:
        path = self.path / part / f"{name}.json"
        # One is written for each cell, and made again from the cache if the machine loses power.
        return self._write_text(path, _text(path, record, indent=2), write_whole)

    @staticmethod
    def _write_text(
        path: Path, text: str, write: Callable[[Path, str], None] = write_atomically
    ) -> Path:
        try:
            write(path, text)
        except OSError as error:
            raise BenchError(
                f"{path}: cannot be written: {error.strerror}", cure=_OTHER_RESULTS
            ) from error
        return path

    def manifest(self) -> RunManifest:
        """The run's manifest."""
        path = self.path / "run.json"
        with _needed(path, RunManifest):
            return read_record(path, RunManifest)

    def has_record(self, cell_id: str) -> bool:
        """Whether the cell of that id was measured and judged."""
        return (self.path / "cells" / f"{cell_id}.json").exists()

    def record(self, cell_id: str) -> Record:
        """The record of the measured cell of that id."""
        path = self.path / "cells" / f"{cell_id}.json"
        with _needed(path, Record):
            return read_named(path, Record, _cell_id)

    def records(self) -> Readings[Record]:
        """The records of all measured cells, by id."""
        return read_folder(self.path, "cells", Record, _cell_id)

    def planned_records(self, keep: Callable[[Record], Record] | None = None) -> Readings[Record]:
        """The same in the order of the plan, as tables show them; the run's own only.

        `keep` is as in `read_folder`.
        """
        position = {id_: i for i, id_ in enumerate(self.manifest().planned_cells)}
        read = read_folder(self.path, "cells", Record, _cell_id, keep)
        foreign = tuple(
            Unreadable(f"cells/{record.cell.id}.json", "the run has no such cell")
            for record in read.found
            if record.cell.id not in position
        )
        planned = [record for record in read.found if record.cell.id in position]
        planned.sort(key=lambda record: position[record.cell.id])
        return Readings(tuple(planned), read.unreadable + foreign)

    def sweeps(self) -> Readings[SweepRecord]:
        """The outcomes of all judged sweeps, by id."""
        return read_folder(self.path, "sweeps", SweepRecord, lambda sweep: sweep.id)

    def unmeasured(self) -> Readings[UnmeasuredRecord]:
        """The cells that could not be measured, by id."""
        return read_folder(self.path, "unmeasured", UnmeasuredRecord, _cell_id)

    def known_unmeasurable(self, cell: Cell) -> UnmeasuredRecord | None:
        """What this run has found already of a cell that cannot be measured."""
        path = self.path / "unmeasured" / f"{cell.id}.json"
        if not path.exists():
            return None
        with _needed(path, UnmeasuredRecord):
            return read_named(path, UnmeasuredRecord, _cell_id)

    def orders(self) -> Readings[OrderRecord]:
        """The judged orders, by id."""
        return read_folder(self.path, "orders", OrderRecord, lambda order: order.id)
