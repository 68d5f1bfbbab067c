"""A batch on a pool of boards: starts their processes, and follows what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from multiprocessing.connection import wait
from pathlib import Path

from bench.core.errors import BenchError, TargetUnavailableError
from bench.core.logging import logger
from targets.mps3.errors import BoardError, DriverLostError, WrongBoardError
from targets.mps3.pool.messages import Ended, Outcome, Ready, Step
from targets.mps3.pool.process import BoardProcess
from targets.mps3.pool.shares import Shares, Task
from targets.protocol import Job, Measurement
from targets.settings.mps3 import Mps3Settings

__all__ = ["run_pool"]

_LOG = logger(__name__)
#: What a board takes for a job besides its inputs, in inputs.
_COST_OF_A_JOB = 10
#: Seconds for restoring cards and releasing boards when a run is interrupted.
_FAREWELL_S = 60.0
#: Seconds that a process may take to end after its last word.
_END_S = 10.0
#: Errors that a sibling need not make.
_OF_THE_BOARD = (TargetUnavailableError, BoardError, WrongBoardError, DriverLostError)


def run_pool(
    boards: Mapping[str, Mps3Settings],
    jobs: Sequence[Job],
    logs: Path,
    progress: Callable[[str], None] | None,
) -> Iterator[tuple[int, Measurement | BenchError]]:
    """Run `jobs` on `boards`; like `BatchTarget.run_batch`. All boards work at the same time."""
    batch = _Batch(boards, jobs, logs, progress or (lambda text: None))
    try:
        yield from batch.outcomes()
    finally:
        batch.end()


class _Batch:
    def __init__(
        self,
        boards: Mapping[str, Mps3Settings],
        jobs: Sequence[Job],
        logs: Path,
        progress: Callable[[str], None],
    ) -> None:
        self._boards = boards
        self._jobs = jobs
        self._logs = logs
        self._progress = progress
        self._processes: dict[str, BoardProcess] = {}
        self._shares = Shares(
            {name: settings.macs for name, settings in boards.items()},
            {number: Task(job.accelerator, _cost(job)) for number, job in enumerate(jobs)},
        )

    def outcomes(self) -> Iterator[tuple[int, Measurement | BenchError]]:
        """Every job's outcome, once."""
        while self._processes or self._shares.any_left:
            yield from self._shares.hopeless()
            for name in self._shares.to_visit():
                self._start(name)
            for name in self._shares.in_vain():
                self._processes[name].stop()
            if not self._processes:
                # None could be started.
                continue
            ready = wait([process.connection for process in self._processes.values()])
            for name, process in list(self._processes.items()):
                if process.connection in ready:
                    yield from self._hear(name, process)

    def end(self) -> None:
        """End all processes; they restore cards and release boards first."""
        with ExitStack() as stack:
            stack.callback(self._progress, "")
            for process in self._processes.values():
                stack.callback(process.close)
                process.stop()
            deadline = time.monotonic() + _FAREWELL_S
            for process in self._processes.values():
                process.await_end(deadline)

    def _start(self, name: str) -> None:
        self._shares.visit(name)
        try:
            self._processes[name] = BoardProcess(name, self._boards[name], self._logs / name)
        except BenchError as error:
            self._lose(name, error)

    def _hear(
        self, name: str, process: BoardProcess
    ) -> Iterator[tuple[int, Measurement | BenchError]]:
        said = process.receive()
        if isinstance(said, Step):
            self._progress(f"{name}: {said.text}" if said.text else "")
        elif isinstance(said, Ready):
            share = self._shares.take(name)
            process.give([(number, self._jobs[number]) for number in share])
        elif isinstance(said, Outcome):
            self._shares.done(name, said.number)
            yield said.number, said.outcome
        else:
            yield from self._over(name, said)

    def _over(self, name: str, said: Ended) -> Iterator[tuple[int, Measurement | BenchError]]:
        with closing(self._processes.pop(name)) as process:
            process.await_end(time.monotonic() + _END_S)
        error, left = said.error, self._shares.has(name)
        if error is None:
            self._shares.ended(name)
        elif isinstance(error, _OF_THE_BOARD) or not left:
            self._lose(name, error)
        else:
            # Its siblings would fail in the same way.
            for number in left:
                self._shares.done(name, number)
                yield number, error
            self._shares.ended(name)

    def _lose(self, name: str, error: BenchError) -> None:
        returned = self._shares.lost(name, error)
        _LOG.warning(
            "board %s is left out of this batch%s: %s",
            name,
            f", and {returned} of its cells are for others" if returned else "",
            error.what.splitlines()[0],
        )


def _cost(job: Job) -> float:
    return _COST_OF_A_JOB + (len(job.inputs[0]) if job.inputs else 1)
