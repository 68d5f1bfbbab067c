"""Give jobs to Dask until none is left. It knows tasks and futures, and nothing of cells' work.

The client keeps the graph of the run, and Dask gets a task when its needs are met and a worker is
free. So the client has every product when the next task begins, and nothing that was made is lost
with a worker, or made twice. Where a task runs, and what happens if its worker dies, is Dask's.
"""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from distributed import Client, Future, KilledWorker

from bench.cluster.dispatch import Dispatcher
from bench.cluster.jobs import Job, JobKind
from bench.core.errors import BenchError, ClusterError
from bench.core.logging import logger
from bench.core.text import one_line

__all__ = ["Driver", "Patience", "Work"]

_LOG = logger(__name__)

#: Between two looks at how many workers there are.
_LOOK_S = 1.0
#: How often a task is given again after Dask has lost it for no fault of its own.
_TRIES = 3
#: How many workers a task may kill.
_DEATHS = 3
#: How long a nanny may take to start another worker, before its log is done without.
_RESTART_S = 30.0


@dataclass(frozen=True)
class Patience:
    """How long the client waits for others, in seconds."""

    #: For a first worker, and for another after all are gone.
    workers_s: float = 120
    #: For the scheduler.
    scheduler_s: float = 30


class Work(Protocol):
    """What the driver's jobs are for."""

    def submit(self, job: Job) -> Future[Any]:
        """Give a job, all of whose needs are met, to Dask."""
        ...

    def finished(self, job: Job, result: Any) -> BenchError | None:
        """Take what a job gave. Returns why it, and what waits for it, cannot be done."""
        ...

    def given_up(self, job: Job, error: BenchError) -> None:
        """A job cannot be done, and nothing will come of it."""
        ...

    def unneeded(self, job_id: str) -> None:
        """No job needs the products of this one any more."""
        ...

    def capacity(self) -> Mapping[str, int]:
        """How many jobs of each seat the workers can run at once now."""
        ...


class Driver:
    """Drives one run. For one thread."""

    def __init__(
        self,
        client: Client,
        dispatcher: Dispatcher,
        work: Work,
        patience: Patience | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """`stopped` says whether the user has interrupted the run."""
        self._client = client
        self._dispatcher = dispatcher
        self._stopped = stopped
        self._work = work
        self._patience = patience or Patience()
        self._ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._running: dict[Any, tuple[Future[Any], Job]] = {}
        self._tries: Counter[str] = Counter()
        self._deaths: Counter[str] = Counter()
        self._capacity: Mapping[str, int] = {}
        self._looked = float("-inf")
        self._able = time.monotonic()
        self._connected = time.monotonic()

    def run(self) -> None:
        """Until every job is done or given up. On any exception, what runs is cancelled."""
        with self._cancelling():
            while not self._dispatcher.finished:
                if self._stopped():
                    # Python drops an exception that is raised in a finaliser.
                    raise KeyboardInterrupt
                if not self._look():
                    return
                for job in self._dispatcher.start(self._capacity):
                    self._start(job)
                try:
                    self._take(self._ended.get(timeout=_LOOK_S))
                except queue.Empty:
                    continue

    @contextmanager
    def _cancelling(self) -> Iterator[None]:
        try:
            yield
        finally:
            left = [future for future, _ in self._running.values()]
            if left and self._client.status == "running":
                self._client.cancel(left, force=True)

    def _start(self, job: Job) -> None:
        future = self._work.submit(job)
        self._running[future.key] = (future, job)
        future.add_done_callback(self._ended.put)

    def _take(self, future: Future[Any]) -> None:
        running = self._running.get(future.key)
        if running is None or running[0] is not future:
            return
        if future.status in ("cancelled", "lost"):
            if self._client.status == "running":
                del self._running[future.key]
                self._again(running[1], ClusterError("Dask lost the task several times"))
            # Otherwise the scheduler is gone, which `_look` finds out.
            return
        job = self._running.pop(future.key)[1]
        error = future.exception() if future.status == "error" else None
        if error is None:
            self._finish(job, future.result())
        elif isinstance(error, KilledWorker):
            self._died(job, error)
        else:
            text = one_line(f"{type(error).__name__}: {error}")
            self._killed(job, ClusterError(f"{job.id}: the worker failed: {text}"))

    def _finish(self, job: Job, result: Any) -> None:
        failure = self._work.finished(job, result)
        if failure is None:
            for id_ in self._dispatcher.done(job):
                self._work.unneeded(id_)
        else:
            self._give_up(job, failure)

    def _give_up(self, job: Job, error: BenchError) -> None:
        lost, unneeded = self._dispatcher.failed(job)
        for one in (job, *lost):
            self._work.given_up(one, error)
        for id_ in unneeded:
            self._work.unneeded(id_)

    def _again(self, job: Job, error: BenchError) -> None:
        self._tries[job.id] += 1
        if self._tries[job.id] < _TRIES:
            self._dispatcher.again(job)
        else:
            self._give_up(job, error)

    def _died(self, job: Job, error: KilledWorker) -> None:
        """A worker died with a task, if not several."""
        self._deaths[job.id] += getattr(error, "allowed_failures", 0) + 1
        # No more tasks than there are workers now: two on one would be suspected together.
        self._looked = float("-inf")
        if self._deaths[job.id] < _DEATHS:
            _LOG.warning("cluster: a worker died while it worked on %s", job.id)
            self._dispatcher.again(job)
        else:
            self._killed(job, self._death(job, error))

    def _killed(self, job: Job, error: BenchError) -> None:
        """A task killed its workers: only one of its cells may be the reason."""
        if job.kind is JobKind.CELLS and len(job.cells) > 1:
            _LOG.warning("cluster: %s; its cells are tried one by one", error.what)
            self._dispatcher.split(job)
        elif job.kind is JobKind.COMPILE:
            # Its cells will show which of them it was.
            for id_ in self._dispatcher.done(job):
                self._work.unneeded(id_)
        else:
            self._give_up(job, error)

    def _death(self, job: Job, error: KilledWorker) -> BenchError:
        worker = getattr(error, "last_worker", None)
        address = getattr(worker, "address", "unknown")
        nanny = getattr(worker, "nanny", None)
        log = "".join(f"\n    | {line}" for line in _log_of(self._client, nanny))
        return ClusterError(
            f"{job.id}: {self._deaths[job.id]} workers died while they worked on it, "
            f"at last {address}" + (f"; what its nanny saw:{log}" if log else ""),
            cure="if memory ran out there, start fewer workers on each machine; otherwise run the "
            "cell alone on one machine",
        )

    def _look(self) -> bool:
        """Look at the cluster, now and then. Returns whether there is any use in going on."""
        now = time.monotonic()
        if self._client.status != "running":
            if now - self._connected > self._patience.scheduler_s or self._client.status in (
                "closing",
                "closed",
            ):
                self._end_all(
                    ClusterError(
                        "the connection to the cluster's scheduler was lost",
                        cure="start the scheduler and its workers again, and repeat the command: "
                        "what was made is in the cache",
                    )
                )
                return False
            time.sleep(0.1)
            return True
        self._connected = now
        if now - self._looked < _LOOK_S:
            return True
        self._looked = now
        try:
            self._capacity = self._work.capacity()
        except (OSError, RuntimeError) as error:
            _LOG.info("cluster: the scheduler did not answer: %s", error)
            return True
        if self._dispatcher.running or any(self._capacity.values()):
            self._able = now
        elif now - self._able > self._patience.workers_s:
            self._end_all(
                ClusterError(
                    f"the cluster has had no worker of this bench for "
                    f"{self._patience.workers_s:g} s",
                    cure="start workers: bench cluster worker ADDRESS",
                )
            )
            return False
        return True

    def _end_all(self, error: BenchError) -> None:
        for job in self._dispatcher.open:
            self._work.given_up(job, error)


def _log_of(client: Client, nanny: str | None, lines: int = 5) -> list[str]:
    """The last lines that a nanny logged; nothing if it does not answer in time."""
    deadline = time.monotonic() + _RESTART_S
    while nanny is not None and time.monotonic() < deadline:
        try:
            workers = client.scheduler_info(n_workers=-1)["workers"]
            # Dask reaches a nanny through its worker, which is a new one now.
            known = [address for address, one in workers.items() if one["nanny"] == nanny]
            if known:
                logs = client.get_worker_logs(n=lines, workers=known[:1], nanny=True)
                return [one_line(str(line)) for log in logs.values() for _, line in reversed(log)]
        except Exception:
            # For an error's text only.
            return []
        time.sleep(0.2)
    return []
