"""Processes that judge the units of a plan side by side, each with its own tools.

A process that dies costs the cell that it measured, as it would under pytest. The others of its
unit are judged by its successor.
"""

from __future__ import annotations

import contextlib
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait

from bench.assembly.session import BenchSession
from bench.assembly.unit_judging import UnitJudges, all_failed
from bench.assembly.unit_worker import Message
from bench.assembly.units import Unit
from bench.core.plain_json import read_model
from bench.core.processes.children import python_command
from bench.core.processes.linked import Linked, linked
from bench.core.processes.running import wait_for_status
from bench.plan.cell import Cell
from bench.records.cases import CaseOutcome, Outcomes
from bench.records.record import CellIdentity, Status, UnmeasuredRecord
from bench.records.run_directory import WORKER_VARIABLE

__all__ = ["UnitPool"]

_CHILD = python_command(f"from {__package__}.unit_worker import main\nmain()")
#: Seconds that a process may take to release its devices at the end, and to be gone.
_LEAVE_S, _END_S = 30.0, 1.0
#: Of the end of a dead process's log.
_TAIL_BYTES = 4_000
#: Processes that may die of one unit without having noted a cell.
_DEATHS = 2
#: The kind of this error in records and cases.
_DIED = "WorkerDied"


@dataclass
class _Worker:
    """A process, and the unit that it has."""

    name: str
    child: Linked
    life: contextlib.ExitStack
    ready: bool = False
    unit: Unit | None = None


class UnitPool(UnitJudges):
    """As many processes as there are cores; each judges one unit at a time. For one thread.

    Use as a context manager; leaving it ends the processes.
    """

    def __init__(self, session: BenchSession, processes: int) -> None:
        self._session = session
        self._most = max(1, processes)
        self._setup = session.setup.to_json().encode("utf-8")
        self._cells = {cell.id: cell for cell in session.plan.cells}
        self._workers: list[_Worker] = []
        self._started = 0
        #: Processes in a row that died before they had their tools.
        self._unready = 0
        #: Unit -> processes that died of it, nobody knows of which cell.
        self._deaths: dict[Unit, int] = {}

    def judge(self, units: Iterable[Unit]) -> Iterator[list[CaseOutcome]]:
        """The outcomes of the tests of each unit, as they are known."""
        queue = deque(units)
        while queue or any(worker.unit for worker in self._workers):
            self._fill(queue)
            for connection in wait([worker.child.connection for worker in self._workers]):
                worker = next(w for w in self._workers if w.child.connection is connection)
                try:
                    answer = worker.child.connection.recv_bytes()
                except (EOFError, OSError):
                    yield from self._bury(worker, queue)
                    continue
                if not worker.ready:
                    worker.ready, self._unready = True, 0
                    continue
                worker.unit = None
                yield list(read_model(answer, Outcomes).cases)

    def close(self) -> None:
        """End the processes: those that do nothing by themselves, the others interrupted."""
        leaving, self._workers = self._workers, []
        for worker in leaving:
            worker.child.connection.close()
            if worker.unit is not None:
                with contextlib.suppress(ProcessLookupError):
                    worker.child.process.send_signal(signal.SIGINT)
        for worker in leaving:
            wait_for_status(worker.child.process, _LEAVE_S)
            worker.life.close()

    def _fill(self, queue: deque[Unit]) -> None:
        """Give units to processes that have none, and start processes that are needed."""
        while queue and len(self._workers) < min(self._most, self._busy() + len(queue)):
            self._workers.append(self._start())
        for worker in self._workers:
            if worker.ready and worker.unit is None and queue:
                worker.unit = queue.popleft()
                # A process that has died is found out when its answer is awaited.
                with contextlib.suppress(OSError):
                    worker.child.connection.send_bytes(Message.of(worker.unit))

    def _busy(self) -> int:
        return sum(worker.unit is not None for worker in self._workers)

    def _start(self) -> _Worker:
        name = f"judge{self._started}"
        self._started += 1
        # Each has one thread; those of BLAS would compete for the same cores.
        environment = {WORKER_VARIABLE: name, "OPENBLAS_NUM_THREADS": "1"}
        with contextlib.ExitStack() as life:
            child = life.enter_context(linked(_CHILD, environment=environment))
            with contextlib.suppress(OSError):
                child.connection.send_bytes(self._setup)
            return _Worker(name, child, life.pop_all())

    def _bury(self, worker: _Worker, queue: deque[Unit]) -> Iterator[list[CaseOutcome]]:
        """Note what `worker` died of, and give its unit to another, or give up."""
        self._workers.remove(worker)
        how, words = worker.child.how_it_ended(_END_S), worker.child.words(_TAIL_BYTES)
        text = f"the process that judges it {how}, {_DEATHS} times\n{words}".rstrip()
        worker.life.close()
        cell = self._cells.get(self._session.run.died_on(worker.name) or "")
        if cell is not None:
            self._session.run.write_unmeasured(_unmeasured(cell, f"{worker.name}: {how}"))
        if not worker.ready:
            self._unready += 1
            if self._unready >= _DEATHS:
                # No other process will do better.
                yield from (all_failed(unit, text, _DIED) for unit in queue)
                queue.clear()
        elif worker.unit is not None:
            unit = worker.unit
            self._deaths[unit] = self._deaths.get(unit, 0) + (cell is None)
            if self._deaths[unit] < _DEATHS:
                queue.appendleft(unit)
            else:
                yield all_failed(unit, text, _DIED)


def _unmeasured(cell: Cell, how: str) -> UnmeasuredRecord:
    return UnmeasuredRecord(
        cell=CellIdentity.of(cell),
        status=Status.INCOMPLETE,
        error=_DIED,
        reason=f"the process that measured it died ({how})",
        cure="it is not measured again in this run; perhaps it was killed or out of memory",
    )
