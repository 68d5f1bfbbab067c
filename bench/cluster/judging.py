"""The judges of a run whose records a cluster makes."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from bench.assembly.judging import judge_of
from bench.assembly.session import BenchSession
from bench.assembly.unit_judging import UnitJudges, all_failed, judge_alone
from bench.assembly.units import Unit
from bench.baselines.origins import kept_with_run
from bench.cluster.outcomes import Outcomes
from bench.cluster.running import make_on_cluster
from bench.core.errors import BenchError
from bench.core.logging import log_to_file, log_to_lines
from bench.judging.judge import Judge
from bench.measuring.progress import append_to, noting
from bench.plan.cell import Cell
from bench.plan.grid import with_bases
from bench.records.cases import CaseOutcome
from bench.records.record import Record

__all__ = ["ClusterUnits", "open_cluster_judge"]


@contextmanager
def open_cluster_judge(
    session: BenchSession, place: str, wanted: Iterable[Cell]
) -> Iterator[Judge]:
    """The judge of the cells `wanted`, after the cluster at `place` has made all their records.

    Raises `BenchError` if it cannot make any.
    """
    with _made_records(session, place, wanted) as record:
        yield judge_of(session, record, kept_with_run(session.run))


class ClusterUnits(UnitJudges):
    """Judges units in this process, after the cluster at `place` has made the records of the plan.

    The cluster begins with the first units. If it cannot make any record, all units have failed.
    """

    def __init__(self, session: BenchSession, place: str) -> None:
        self._session = session
        self._place = place
        self._life = ExitStack()
        self._record: Callable[[Cell], Record] | None = None

    def judge(self, units: Iterable[Unit]) -> Iterator[list[CaseOutcome]]:
        """The outcomes of the tests of each unit, in their order."""
        try:
            record = self._record = self._record or self._make()
        except BenchError as error:
            yield from (all_failed(unit, str(error), type(error).__name__) for unit in units)
            return
        baselines = kept_with_run(self._session.run)
        for unit in units:
            yield judge_alone(unit, self._session, record, baselines)

    def close(self) -> None:
        """Forget the records that came from the cluster."""
        self._life.close()

    def _make(self) -> Callable[[Cell], Record]:
        wanted = with_bases(self._session.plan.cells)
        return self._life.enter_context(_made_records(self._session, self._place, wanted))


@contextmanager
def _made_records(
    session: BenchSession, place: str, wanted: Iterable[Cell]
) -> Iterator[Callable[[Cell], Record]]:
    """What has the record of each of the cells `wanted`, or raises why there is none."""
    sink = append_to(session.run.progress)
    with (
        log_to_file(session.run.log("cluster")),
        log_to_lines(noting(sink)),
        tempfile.TemporaryDirectory(prefix="bench-records-") as directory,
    ):
        outcomes = Outcomes(Path(directory))
        with _noticed_interrupts() as interrupts:
            make_on_cluster(session.setup, place, wanted, outcomes, sink, stopped=interrupts.is_set)
        yield outcomes.record


@contextmanager
def _noticed_interrupts() -> Iterator[threading.Event]:
    """Set at Ctrl-C, which raises `KeyboardInterrupt` as always, and may be lost."""
    interrupted = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        # Somebody else sees to it, or there is no main thread.
        yield interrupted
        return

    def note(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
