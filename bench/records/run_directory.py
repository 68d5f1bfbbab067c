"""The directory of one run: its manifest, a record for each cell, reports, progress."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from bench.core.errors import BenchError
from bench.core.files import replace_symlink, write_atomically
from bench.core.schema import StrictModel
from bench.plan.cell import Cell
from bench.records.cases import CaseOutcome, Selection
from bench.records.record import Record, SweepRecord, UnmeasuredRecord, Verdict
from targets.timing_profiles import TimingProfile

__all__ = [
    "OrderRecord",
    "RunDirectory",
    "RunManifest",
    "run_name",
    "worker_name",
]

_Model = TypeVar("_Model", bound=StrictModel)

_OTHER_RESULTS = "make room or give access there, or name another place: --bench-results=DIR"


class RunManifest(StrictModel):
    """What belongs to the run and not to its figures."""

    schema_version: int = 1
    started: str
    host: str
    python: str
    platform: str
    config_path: str
    config_sha256: str
    data: str
    #: Where the run was started.
    directory: str = ""
    planned_cells: tuple[str, ...]
    #: Key of the configuration -> its line there, counted from 1, for reports that point at it.
    config_lines: dict[str, int] = Field(default_factory=dict)
    #: The timing profiles the cells are measured with, by name; empty in older manifests.
    timing: dict[str, TimingProfile] = Field(default_factory=dict)

    @property
    def config_name(self) -> str:
        """The configuration as dashboards should point at it: relative to where the run began."""
        path, root = Path(self.config_path), Path(self.directory)
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    @classmethod
    def now(
        cls,
        *,
        config_path: Path,
        config_sha256: str,
        data: str,
        cells: tuple[Cell, ...],
        config_lines: Mapping[str, int],
        timing: Mapping[str, TimingProfile],
    ) -> RunManifest:
        """The manifest of a run that starts now on this machine."""
        return cls(
            started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            host=platform.node(),
            python=platform.python_version(),
            platform=platform.platform(),
            config_path=str(config_path.resolve()),
            directory=str(Path.cwd()),
            config_sha256=config_sha256,
            data=data,
            planned_cells=tuple(cell.id for cell in cells),
            config_lines=dict(config_lines),
            timing=dict(timing),
        )


class OrderRecord(StrictModel):
    """The judged order of the variants of one configuration."""

    schema_version: int = 1
    id: str
    cells: tuple[str, ...]
    verdicts: tuple[Verdict, ...]


def run_name() -> str:
    """A name for a run that starts now: sorts by time, and two at once differ."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def worker_name() -> str:
    """The name of this process among those of the run: xdist's, or `main`."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


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
        run = cls(path)
        try:
            for part in ("cells", "sweeps", "orders", "unmeasured", "workers"):
                (run.path / part).mkdir(parents=True)
            write_atomically(run.path / "run.json", manifest.model_dump_json(indent=2) + "\n")
            replace_symlink(path.parent / "latest", path.name)
        except OSError as error:
            raise BenchError(
                f"{run.path}: the results directory cannot be made: {error}",
                cure=_OTHER_RESULTS,
            ) from error
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
        return self._write_text(self.path / "selection.json", selection.model_dump_json() + "\n")

    def selection(self) -> Selection:
        """The tests that were chosen."""
        return self._read(self.path / "selection.json", Selection)

    def append_outcome(self, outcome: CaseOutcome) -> None:
        """Note how a test ended. Called by one process only."""
        try:
            with (self.path / "outcomes.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(outcome.model_dump_json() + "\n")
        except OSError as error:
            raise BenchError(
                f"{self.path / 'outcomes.jsonl'}: cannot be written: {error.strerror}",
                cure=_OTHER_RESULTS,
            ) from error

    def outcomes(self) -> list[CaseOutcome]:
        """How the tests ended, in that order; one that is half written is left out."""
        try:
            text = (self.path / "outcomes.jsonl").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        whole = text[: text.rfind("\n") + 1]
        return [CaseOutcome.model_validate_json(line) for line in whole.splitlines()]

    def write_junit(self, text: str) -> Path:
        """Store the merged JUnit file."""
        return self._write_text(self.path / "junit.xml", text)

    def _write(self, part: str, name: str, record: StrictModel) -> Path:
        text = record.model_dump_json(indent=2) + "\n"
        return self._write_text(self.path / part / f"{name}.json", text)

    @staticmethod
    def _write_text(path: Path, text: str) -> Path:
        try:
            write_atomically(path, text)
        except OSError as error:
            raise BenchError(
                f"{path}: cannot be written: {error.strerror}", cure=_OTHER_RESULTS
            ) from error
        return path

    def manifest(self) -> RunManifest:
        """The run's manifest."""
        return self._read(self.path / "run.json", RunManifest)

    def record(self, cell_id: str) -> Record:
        """The record of the measured cell of that id."""
        return self._read(self.path / "cells" / f"{cell_id}.json", Record)

    def records(self) -> list[Record]:
        """The records of all measured cells, by id."""
        return [self._read(p, Record) for p in sorted((self.path / "cells").glob("*.json"))]

    def planned_records(self) -> list[Record]:
        """The same in the order of the plan, as tables show them."""
        position = {id_: i for i, id_ in enumerate(self.manifest().planned_cells)}
        return sorted(self.records(), key=lambda record: position[record.cell.id])

    def sweeps(self) -> list[SweepRecord]:
        """The outcomes of all judged sweeps, by id."""
        return [self._read(p, SweepRecord) for p in sorted((self.path / "sweeps").glob("*.json"))]

    def unmeasured(self) -> list[UnmeasuredRecord]:
        """The cells that could not be measured, by id."""
        paths = sorted((self.path / "unmeasured").glob("*.json"))
        return [self._read(p, UnmeasuredRecord) for p in paths]

    def known_unmeasurable(self, cell: Cell) -> UnmeasuredRecord | None:
        """What this run has found already of a cell that cannot be measured."""
        path = self.path / "unmeasured" / f"{cell.id}.json"
        return self._read(path, UnmeasuredRecord) if path.exists() else None

    def orders(self) -> list[OrderRecord]:
        """The judged orders, by id."""
        return [self._read(p, OrderRecord) for p in sorted((self.path / "orders").glob("*.json"))]

    @staticmethod
    def _read(path: Path, model: type[_Model]) -> _Model:
        try:
            return model.model_validate_json(path.read_bytes())
        except OSError as error:
            raise BenchError(
                f"{path}: cannot be read: {error.strerror}",
                cure="name the directory of a run; `pytest -n auto` makes one under results/",
            ) from error
        except ValidationError as error:
            raise BenchError(f"{path}: is no {model.__name__} of this version: {error}") from None
