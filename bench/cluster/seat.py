"""A worker's seat: where the tasks of one run find what they work with.

Vela, TensorFlow and the targets start slowly, so they are kept from task to task. They are ended
when another run comes, when there is nothing to do for a while, when the worker ends, and when the
task that they work for is not wanted any more: Dask cannot interrupt a task, but the processes that
do its work can be ended.
"""

from __future__ import annotations

import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from bench.assembly.session import Tools, open_tools, remote_of
from bench.cluster.kit import Kit, LocalPlaces, unpacked
from bench.cluster.parcels import NotingCache
from bench.core.errors import ClusterError
from bench.core.fingerprint import SourceTree
from bench.core.logging import logger
from bench.core.processes import end_children
from bench.measuring.engine import Engine
from bench.measuring.progress import ProgressEvent
from bench.plan.cell import Cell
from bench.plan.grid import with_bases
from bench.records.run_directory import RunDirectory

__all__ = ["PLUGIN", "Seat", "Sitting", "progress_topic", "seat_here"]

_LOG = logger(__name__)

#: The seat's name among the plugins of a worker.
PLUGIN = "ethos-u55-bench"
#: Without a task for so long, a run's processes are ended.
_IDLE_S = 30.0
#: Between two looks at whether a running task is still wanted.
_LOOK_S = 0.5


def progress_topic(run: str) -> str:
    """The topic of Dask's events under which workers tell what they do for `run`."""
    return f"bench-{run}"


@dataclass(frozen=True)
class Sitting:
    """What the tasks of one run work with."""

    run: str
    tools: Tools
    cache: NotingCache
    #: By id, with those that others are compared with.
    cells: dict[str, Cell]

    def engine(self, cells: Iterable[str]) -> Engine:
        """An engine for the cells with these ids."""
        return self.tools.engine(self.tools.setup.config, [self.cells[id_] for id_ in cells])


class Seat(WorkerPlugin):
    """One for each worker, which runs one task at a time."""

    name = PLUGIN

    def __init__(self, code: SourceTree, cache_root: Path, remote_cache: str) -> None:
        """`code` is what this process has loaded."""
        #: What this process has loaded.
        self.code = code
        self._cache_root = cache_root
        self._remote_cache = remote_cache
        self._worker: Worker | None = None
        #: Held while a task runs, and while its tools are ended.
        self._taken = threading.Lock()
        self._life = ExitStack()
        self._sitting: Sitting | None = None
        self._key = ""
        self._idle_since = time.monotonic()
        self._end = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="bench-seat", daemon=True)

    def setup(self, worker: Worker) -> None:
        """Dask calls this when the worker starts."""
        self._worker = worker
        self._watcher.start()

    def teardown(self, worker: Worker) -> None:
        """Dask calls this when the worker ends."""
        self._end.set()
        if self._key:
            end_children()
        with self._taken:
            self._leave()

    @contextmanager
    def taken(self, kit: Kit) -> Iterator[Sitting]:
        """What a task of the run of `kit` works with, during the block.

        Raises `BenchError` if the run cannot be set up here.
        """
        with self._taken:
            self._key = str(get_worker().get_current_task())
            try:
                yield self._seated(kit)
            finally:
                self._key = ""
                self._idle_since = time.monotonic()

    def require_wanted(self) -> None:
        """Raise `BenchError` if nobody wants the running task any more."""
        if not self._wanted(self._key):
            raise ClusterError("the task was cancelled")

    def _seated(self, kit: Kit) -> Sitting:
        if self._sitting is not None and self._sitting.run == kit.run:
            return self._sitting
        self._leave()
        assert self._worker is not None
        place = Path(self._worker.local_directory) / kit.run
        self._life.callback(shutil.rmtree, place, ignore_errors=True)
        remote = remote_of(self._remote_cache)
        cache = NotingCache(self._cache_root, remote=remote)
        try:
            places = LocalPlaces(self._cache_root, self._remote_cache, place)
            setup = unpacked(kit, places, cache, self.code)
            tools = self._life.enter_context(
                open_tools(setup, RunDirectory(place), self._sink(kit.run), cache)
            )
        except BaseException:
            self._leave()
            raise
        cells = {one.id: one for one in with_bases(setup.plan().cells)}
        self._sitting = Sitting(kit.run, tools, cache, cells)
        return self._sitting

    def _leave(self) -> None:
        self._sitting = None
        try:
            self._life.close()
        finally:
            # Interpreters stay with the process that started them, which here goes on.
            end_children()

    def _sink(self, run: str) -> Callable[[ProgressEvent], None]:
        worker = self._worker
        assert worker is not None
        topic = progress_topic(run)
        # Two machines may have the same process id.
        process = zlib.crc32(worker.address.encode())

        def tell(event: ProgressEvent) -> None:
            document: dict[str, Any] = asdict(replace(event, pid=process))
            worker.log_event(topic, document)

        return tell

    def _wanted(self, key: str) -> bool:
        assert self._worker is not None
        task = self._worker.state.tasks.get(key)
        return task is not None and task.state in ("executing", "long-running")

    def _watch(self) -> None:
        while not self._end.wait(_LOOK_S):
            try:
                self._look()
            except Exception:
                # Whatever it is, the next look must come.
                _LOG.exception("the seat could not look after its work")

    def _look(self) -> None:
        key = self._key
        if key and not self._wanted(key):
            # What it waits for ends, so it ends; its result is dropped.
            end_children()
        elif not key and time.monotonic() - self._idle_since > _IDLE_S:
            self._rest()

    def _rest(self) -> None:
        if self._sitting is not None and self._taken.acquire(blocking=False):
            try:
                self._leave()
            finally:
                self._taken.release()


def seat_here() -> Seat:
    """The seat of the worker that runs the calling task."""
    seat = get_worker().plugins[PLUGIN]
    assert isinstance(seat, Seat)
    return seat
