"""Which jobs may start, given what is done and how many workers are free. Pure: no clock, no Dask.

It is list scheduling. What feeds a seat starts first, so that no board waits behind trainings. Of
the other jobs whose needs are met it is the one with the longest way to the end of the run: its own
time and that of the longest chain of jobs that wait for it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping

from bench.cluster.jobs import Job, JobKind

__all__ = ["Dispatcher"]


class Dispatcher:
    """The state of a run's jobs. For one thread."""

    def __init__(self, jobs: Iterable[Job], made: Iterable[str] = ()) -> None:
        """`made` are ids that jobs need and that are no jobs, because they are done already.

        A job comes after those it needs.
        """
        self._jobs = {job.id: job for job in jobs}
        self._waits = {
            job.id: {need for need in job.needs if need in self._jobs}
            for job in self._jobs.values()
        }
        self._dependents: dict[str, list[str]] = {}
        #: Id -> how many unfinished jobs need its products.
        self._needed: Counter[str] = Counter(dict.fromkeys(made, 0))
        for job in self._jobs.values():
            for need in job.needs:
                self._dependents.setdefault(need, []).append(job.id)
                self._needed[need] += 1
        self._ranks = self._ranked()
        self._ready: dict[str, list[tuple[bool, int, int, str]]] = {}
        self._order = 0
        self._running: Counter[str] = Counter()
        self._open = set(self._jobs)
        for job in self._jobs.values():
            if not self._waits[job.id]:
                self._enqueue(job)

    @property
    def finished(self) -> bool:
        """Whether no job is left, neither waiting nor running."""
        return not self._open

    @property
    def open(self) -> tuple[Job, ...]:
        """The jobs that are not finished."""
        return tuple(job for job in self._jobs.values() if job.id in self._open)

    @property
    def running(self) -> int:
        """How many jobs have started and not finished."""
        return self._running.total()

    def start(self, capacity: Mapping[str, int]) -> list[Job]:
        """The jobs that start now, if so many of each seat can run at once."""
        started = []
        for seat, ready in self._ready.items():
            while ready and self._running[seat] < capacity.get(seat, 0):
                job = self._jobs[heapq.heappop(ready)[-1]]
                self._running[seat] += 1
                started.append(job)
        return started

    def done(self, job: Job) -> list[str]:
        """A running job has finished. Returns the ids whose products nobody needs any more."""
        self._running[job.seat] -= 1
        for id_ in self._dependents.get(job.id, ()):
            self._waits[id_].discard(job.id)
            if not self._waits[id_] and id_ in self._open:
                self._enqueue(self._jobs[id_])
        return self._close(job)

    def failed(self, job: Job) -> tuple[list[Job], list[str]]:
        """A running job cannot be done. Returns what waits for it and so cannot be done either.

        The second list is as that of `done`.
        """
        self._running[job.seat] -= 1
        unneeded = self._close(job)
        lost: list[Job] = []
        left = list(self._dependents.get(job.id, ()))
        while left:
            id_ = left.pop()
            if id_ in self._open:
                lost.append(self._jobs[id_])
                unneeded += self._close(self._jobs[id_])
                left += self._dependents.get(id_, ())
        return lost, unneeded

    def again(self, job: Job) -> None:
        """A running job has to start once more."""
        self._running[job.seat] -= 1
        self._enqueue(job)

    def split(self, job: Job) -> None:
        """Instead of a running job, on which nothing depends, one for each of its cells starts."""
        self._running[job.seat] -= 1
        for part in job.split():
            self._jobs[part.id] = part
            self._ranks[part.id] = part.milliseconds
            self._waits[part.id] = set()
            self._open.add(part.id)
            self._needed.update(part.needs)
            self._enqueue(part)
        self._close(job)

    def _close(self, job: Job) -> list[str]:
        self._open.discard(job.id)
        self._needed.subtract(job.needs)
        unneeded = [need for need in job.needs if self._needed[need] <= 0]
        return unneeded if self._needed[job.id] > 0 else [*unneeded, job.id]

    def _enqueue(self, job: Job) -> None:
        # Of equal ranks, the first in the plan.
        self._order += 1
        feeds_none = job.kind is not JobKind.COMPILE
        entry = (feeds_none, -self._ranks[job.id], self._order, job.id)
        heapq.heappush(self._ready.setdefault(job.seat, []), entry)

    def _ranked(self) -> dict[str, int]:
        ranks: dict[str, int] = {}
        for id_ in reversed(self._jobs):
            after = [ranks[other] for other in self._dependents.get(id_, ())]
            ranks[id_] = self._jobs[id_].milliseconds + max(after, default=0)
        return ranks
