"""The judge of a run whose records a cluster makes."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from bench.assembly.judging import judge_of
from bench.assembly.session import BenchSession
from bench.baselines.origins import kept_with_run
from bench.cluster.outcomes import Outcomes
from bench.cluster.running import make_on_cluster
from bench.core.logging import log_to_file, log_to_lines
from bench.judging.judge import Judge
from bench.measuring.progress import append_to, noting
from bench.plan.cell import Cell

__all__ = ["open_cluster_judge"]


@contextmanager
def open_cluster_judge(
    session: BenchSession, place: str, wanted: Iterable[Cell]
) -> Iterator[Judge]:
    """The judge of the cells `wanted`, after the cluster at `place` has made all their records.

    Raises `BenchError` if it cannot make any.
    """
    sink = append_to(session.run.progress)
    with (
        log_to_file(session.run.log("cluster")),
        log_to_lines(noting(sink)),
        tempfile.TemporaryDirectory(prefix="bench-records-") as directory,
    ):
        outcomes = Outcomes(Path(directory))
        with _noticed_interrupts() as interrupts:
            make_on_cluster(session.setup, place, wanted, outcomes, sink, stopped=interrupts.is_set)
        yield judge_of(session, outcomes.record, kept_with_run(session.run))


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
