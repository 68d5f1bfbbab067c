"""The tasks of a run on a cluster: batches of its work, with what they depend on. Pure.

A batch is so small that a lost worker costs less than a minute, and so large that cells of a tenth
of a second cost little more than on one machine.

```text
TRAIN parent -> TRAIN variant -+-> CELLS of targets that are software
                               +-> COMPILE -> CELLS of targets with seats: an FVP, a board
```

Cells of software targets are compiled where they are measured. A seat (an FVP's licence, a board)
should not wait for a compiler, so for its cells this is done elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from bench.plan.cell import Cell
from bench.plan.work import Step, StepKind, Work

__all__ = ["GENERAL", "LONGEST_MS", "Job", "JobKind", "batch_ms", "jobs_of"]

#: The seat of what any worker can do.
GENERAL = ""
#: Batches are no longer than this, except for a single cell that takes longer.
LONGEST_MS = 30_000
#: No shorter either: what Dask and the network cost a task is about a hundredth of this.
_SHORTEST_MS = 2_000
#: As many batches for each worker let all of them end at about the same time.
_BATCHES_A_WORKER = 8


class JobKind(str, Enum):
    """What a job makes."""

    #: A variant.
    TRAIN = "train"
    #: The compiled models of cells.
    COMPILE = "compile"
    #: Records, and whatever is missing for them.
    CELLS = "measure"


@dataclass(frozen=True)
class Job:
    """One task."""

    #: Unique in the run, for people too.
    id: str
    kind: JobKind
    #: Those that it works for. If it cannot be done, they have no record.
    cells: tuple[Cell, ...]
    #: Ids of the jobs whose products it needs.
    needs: tuple[str, ...]
    #: The target whose seat it takes; `GENERAL` for none.
    seat: str
    #: Expected.
    milliseconds: int
    #: For `TRAIN`: what is trained.
    step: Step | None = field(default=None, compare=False)

    def split(self) -> tuple[Job, ...]:
        """The same work in jobs of one cell each."""
        share = self.milliseconds // len(self.cells)
        return tuple(
            Job(f"{self.id}/{cell.id}", self.kind, (cell,), self.needs, self.seat, share)
            for cell in self.cells
        )


def batch_ms(total_ms: int, workers: int) -> int:
    """How long batches should take if there are `total_ms` of work for so many workers."""
    fair = total_ms // (_BATCHES_A_WORKER * max(1, workers))
    return min(LONGEST_MS, max(_SHORTEST_MS, fair))


def jobs_of(
    work: Work,
    wanted: Iterable[Cell],
    milliseconds: Mapping[str, int],
    *,
    workers: Mapping[str, int],
    seated: Collection[str],
    made: Collection[str] = (),
) -> tuple[Job, ...]:
    """The jobs that make the records of `wanted`, each after those it needs.

    Args:
        work: all steps of the run.
        wanted: cells with the bases that they are compared with.
        milliseconds: how long each step should take, by its id.
        workers: how many jobs of each seat (`GENERAL` too) can run at once.
        seated: the targets whose cells need a seat.
        made: ids of `TRAIN` steps whose products the client has.
    """
    return tuple(_Cutter(work, milliseconds, workers, seated, made).jobs(tuple(wanted)))


class _Cutter:
    def __init__(
        self,
        work: Work,
        milliseconds: Mapping[str, int],
        workers: Mapping[str, int],
        seated: Collection[str],
        made: Collection[str],
    ) -> None:
        self._work = work
        self._ms = milliseconds
        self._workers = workers
        self._seated = seated
        self._made = made
        self._number = 0

    def jobs(self, wanted: tuple[Cell, ...]) -> Iterator[Job]:
        families: dict[str, list[Cell]] = {}
        for cell in wanted:
            families.setdefault(cell.family, []).append(cell)
        trained: dict[str, Job] = {}
        for cells in families.values():
            for step in self._trainings(self._model_of(cells[0])):
                trained.setdefault(step.id, self._training(step))
        yield from trained.values()
        lengths = self._lengths(wanted)
        # Families that wait for no training share batches; every other one has its own.
        ready: list[Cell] = []
        waiting: list[list[Cell]] = []
        for cells in families.values():
            if self._model_of(cells[0]).id in trained:
                waiting.append(cells)
            else:
                ready += cells
        for cells in (ready, *waiting):
            yield from self._batched(cells, {*trained, *self._made}, lengths)

    def _lengths(self, wanted: tuple[Cell, ...]) -> dict[str, int]:
        """Seat -> how long its batches should take."""
        totals: dict[str, int] = {}
        for cell in wanted:
            seat = self._seat(cell)
            totals[seat] = totals.get(seat, 0) + self._ms[self._measure(cell).id]
        return {seat: batch_ms(ms, self._workers.get(seat, 1)) for seat, ms in totals.items()}

    def _trainings(self, model: Step) -> Iterator[Step]:
        """What must be trained for `model`, parents first."""
        if model.kind is StepKind.TRAIN and model.id not in self._made:
            for need in model.needs:
                yield from self._trainings(self._work.steps[need])
            yield model

    def _training(self, step: Step) -> Job:
        return Job(step.id, JobKind.TRAIN, (), step.needs, GENERAL, self._ms[step.id], step=step)

    def _batched(
        self, cells: list[Cell], models: Collection[str], lengths: Mapping[str, int]
    ) -> Iterator[Job]:
        """The jobs of `cells`, which may share batches. `models` are ids of trained variants."""
        compiled: dict[str, str] = {}
        seated = [cell for cell in cells if self._seat(cell) != GENERAL]
        # One cell stands for all with the same compiled model.
        first = {self._compile(cell).id: cell for cell in reversed(seated)}
        for batch in _batches(
            [(cell, self._ms[id_]) for id_, cell in first.items()], lengths.get(GENERAL, LONGEST_MS)
        ):
            job = self._job(JobKind.COMPILE, batch, self._models(batch, models), GENERAL)
            compiled.update((self._compile(cell).id, job.id) for cell, _ in batch)
            yield job
        for seat in dict.fromkeys(map(self._seat, cells)):
            # Cells with the same compiled model come together.
            own = sorted(
                (cell for cell in cells if self._seat(cell) == seat),
                key=lambda cell: self._compile(cell).id,
            )
            for batch in _batches(self._timed(own, compiled), lengths[seat]):
                ids = dict.fromkeys(self._compile(cell).id for cell, _ in batch)
                before = dict.fromkeys(compiled[id_] for id_ in ids if id_ in compiled)
                needs = (*self._models(batch, models), *before)
                yield self._job(JobKind.CELLS, batch, needs, seat)

    def _models(self, batch: Sequence[tuple[Cell, int]], known: Collection[str]) -> tuple[str, ...]:
        """Those of the `known` variants that a batch needs."""
        found = dict.fromkeys(self._model_of(cell).id for cell, _ in batch)
        return tuple(id_ for id_ in found if id_ in known)

    def _timed(
        self, cells: Sequence[Cell], compiled: Collection[str]
    ) -> Iterator[tuple[Cell, int]]:
        done = set(compiled)
        for cell in cells:
            compile_ = self._compile(cell).id
            extra = 0 if compile_ in done else self._ms[compile_]
            done.add(compile_)
            yield cell, extra + self._ms[self._measure(cell).id]

    def _job(
        self,
        kind: JobKind,
        batch: Sequence[tuple[Cell, int]],
        needs: tuple[str, ...],
        seat: str,
    ) -> Job:
        self._number += 1
        cells = tuple(cell for cell, _ in batch)
        many = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        name = f"{kind.value} {self._number}: {cells[0].id}{many}"
        return Job(name, kind, cells, needs, seat, sum(ms for _, ms in batch))

    def _seat(self, cell: Cell) -> str:
        return cell.target if cell.target in self._seated else GENERAL

    def _measure(self, cell: Cell) -> Step:
        return self._of_kind(self._work.records[cell.id], StepKind.MEASURE)

    def _compile(self, cell: Cell) -> Step:
        return self._of_kind(self._measure(cell).needs, StepKind.COMPILE)

    def _model_of(self, cell: Cell) -> Step:
        (model,) = self._compile(cell).needs
        return self._work.steps[model]

    def _of_kind(self, ids: Iterable[str], kind: StepKind) -> Step:
        return next(step for id_ in ids if (step := self._work.steps[id_]).kind is kind)


def _batches(timed: Iterable[tuple[Cell, int]], longest: int) -> Iterator[list[tuple[Cell, int]]]:
    batch: list[tuple[Cell, int]] = []
    total = 0
    for cell, ms in timed:
        if batch and total + ms > longest:
            yield batch
            batch, total = [], 0
        batch.append((cell, ms))
        total += ms
    if batch:
        yield batch
