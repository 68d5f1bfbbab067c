"""The records of a run, made by a cluster: the client's side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from distributed import Client, Future

from bench.assembly.earlier import seen_seconds
from bench.assembly.session import RunSetup, remote_of
from bench.cache import ArtefactCache, Entry
from bench.cluster.crew import capacity_of, wait_for_crew
from bench.cluster.dispatch import Dispatcher
from bench.cluster.driving import Driver, Patience
from bench.cluster.identity import Identity, identity_here
from bench.cluster.jobs import GENERAL, Job, JobKind, jobs_of
from bench.cluster.kit import Kit, kit_of
from bench.cluster.making import Made, hold, make_compiled, make_records, make_variant
from bench.cluster.outcomes import Outcomes
from bench.cluster.parcels import accept_all, packed
from bench.cluster.places import connected, parse_place
from bench.cluster.seat import progress_topic
from bench.cluster.seats import SEATED
from bench.core.errors import BenchError, ClusterError, TargetUnavailableError
from bench.core.logging import logger
from bench.measuring.products import ProductStore
from bench.measuring.progress import ProgressEvent, Sink
from bench.measuring.sources import ModelSource
from bench.plan.cell import Cell
from bench.plan.config import TrainedWorkload
from bench.plan.expected import expected_times
from bench.plan.work import StepKind, Work, work_of
from models.service import VariantBuilder
from targets.registry import EXCLUSIVE

#: States of a future whose value nobody will get.
_LOST = frozenset({"error", "cancelled", "lost"})

__all__ = ["make_on_cluster", "seats_here"]

_LOG = logger(__name__)


def seats_here(setup: RunSetup) -> dict[str, int]:
    """The seats that this machine has, for the targets of the run."""
    counts = dict.fromkeys(EXCLUSIVE, 1) | {"fvp": setup.config.targets.fvp.seats}
    return {name: counts[name] for name in setup.targets if name in SEATED}


def make_on_cluster(
    setup: RunSetup,
    place: str,
    wanted: Iterable[Cell],
    outcomes: Outcomes,
    sink: Sink,
    patience: Patience | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Make the records of `wanted`, bases included, on the cluster at `place`, into `outcomes`.

    What is made on the way is in the cache afterwards. A cell that cannot be made is an outcome
    too. `stopped` says whether the user has interrupted the run. Raises `BenchError` if nothing can
    be made: no cluster, no worker like this bench.
    """
    cells = tuple(wanted)
    patience = patience or Patience()
    identity = identity_here(setup.code)
    cache = ArtefactCache(setup.cache_root, remote=remote_of(setup.remote_cache))
    work = work_of(setup.config, setup.plan())
    with VariantBuilder(bounds=setup.config.training.bounds) as builder:
        store = ProductStore(cache, setup.code, sink)
        models = ModelSource(store=store, builder=builder, data=setup.data, recipes=setup.recipes)
        made = _made_before(setup, work, cells, models, cache)
        kit = kit_of(setup, cache, _data(setup, models, cache))
    with connected(parse_place(place), seats_here(setup), setup.cache_root) as client:
        for refusal in wait_for_crew(client, identity, patience.workers_s):
            _LOG.warning("cluster: %s", refusal)
        seated = SEATED & set(setup.targets)
        workers = capacity_of(client, identity, seated)
        possible = tuple(_possible(cells, workers, outcomes))
        seen = seen_seconds(setup.run_path.parent)
        times = expected_times(setup.config, work, seen)
        expected = {id_: time.milliseconds for id_, time in times.items()}
        jobs = jobs_of(work, possible, expected, workers=workers, seated=seated, made=made)
        with _telling(client, kit, sink):
            run = _Run(client, identity, seated, kit, cache, outcomes, made)
            Driver(client, Dispatcher(jobs, made), run, patience, stopped).run()


class _Run:
    """What the driver's jobs are for; see `driving.Work`."""

    def __init__(
        self,
        client: Client,
        identity: Identity,
        seated: Iterable[str],
        kit: Kit,
        cache: ArtefactCache,
        outcomes: Outcomes,
        made: Mapping[str, Entry],
    ) -> None:
        self._client = client
        self._identity = identity
        self._seated = tuple(seated)
        self._kit = kit
        self._run = kit.run
        self._cache = cache
        self._outcomes = outcomes
        self._made = made
        #: Job id -> its products, held in the cluster; the kit is there as well.
        self._held: dict[str, Future[Any]] = {}
        #: Job id -> its products, here.
        self._entries: dict[str, list[Entry]] = {id_: [entry] for id_, entry in made.items()}
        self._number = 0

    def capacity(self) -> dict[str, int]:
        return capacity_of(self._client, self._identity, self._seated)

    def submit(self, job: Job) -> Future[Any]:
        self._number += 1
        delivered = [self._products(need) for need in job.needs if need in self._entries]
        if job.kind is JobKind.TRAIN:
            assert job.step is not None
            function: Any = make_variant
            arguments: tuple[Any, ...] = (job.step.workload, job.step.variant)
        else:
            function = make_compiled if job.kind is JobKind.COMPILE else make_records
            arguments = (tuple(cell.id for cell in job.cells),)
        return self._client.submit(
            function,
            self._held_now("", self._kit),
            delivered,
            *arguments,
            key=f"bench-{job.kind.value}-{self._run}-{self._number}",
            resources={self._identity.resource(job.seat): 1},
            pure=False,
        )

    def finished(self, job: Job, result: Made) -> BenchError | None:
        try:
            self._entries[job.id] = accept_all(self._cache, result.parcels)
        except BenchError as error:
            return ClusterError(f"{job.id}: what came back was not kept: {error.what}")
        if result.failure is not None:
            return result.failure.error()
        for cell_id, outcome in result.outcomes.items():
            self._outcomes.put(cell_id, outcome)
        return None

    def given_up(self, job: Job, error: BenchError) -> None:
        for cell in job.cells if job.kind is JobKind.CELLS else ():
            self._outcomes.put(cell.id, error)

    def unneeded(self, job_id: str) -> None:
        self._held.pop(job_id, None)
        self._entries.pop(job_id, None)

    def _products(self, job_id: str) -> Future[Any]:
        """The products of a job, held in the cluster."""
        held = self._held.get(job_id)
        if held is not None and held.status not in _LOST:
            return held
        return self._held_now(job_id, tuple(packed(one) for one in self._entries[job_id]))

    def _held_now(self, name: str, value: Any) -> Future[Any]:
        """`value` as a task, from which Dask can make it again if its worker is lost."""
        if name not in self._held or self._held[name].status in _LOST:
            self._number += 1
            key = f"bench-held-{self._run}-{self._number}"
            self._held[name] = self._client.submit(hold, value, key=key, priority=10)
        return self._held[name]


@contextmanager
def _telling(client: Client, kit: Kit, sink: Sink) -> Iterator[None]:
    """Pass on what the workers tell of their work."""
    topic = progress_topic(kit.run)

    def heard(event: tuple[float, Mapping[str, Any]]) -> None:
        # Dask adds fields of its own.
        sink(ProgressEvent(**{one.name: event[1][one.name] for one in fields(ProgressEvent)}))

    client.subscribe_topic(topic, heard)
    try:
        yield
    finally:
        if client.status == "running":
            client.unsubscribe_topic(topic)


def _possible(
    cells: Iterable[Cell], workers: Mapping[str, int], outcomes: Outcomes
) -> Iterator[Cell]:
    """The cells for which there are workers; the others are unavailable."""
    for cell in cells:
        seat = cell.target if cell.target in SEATED else GENERAL
        if workers.get(seat, 0):
            yield cell
        else:
            outcomes.put(
                cell.id,
                TargetUnavailableError(
                    f"no worker of the cluster has a seat for target {cell.target!r}",
                    cure=f"start one where it is: bench cluster worker ADDRESS --seats "
                    f"{cell.target}=1",
                ),
            )


def _made_before(
    setup: RunSetup,
    work: Work,
    cells: Iterable[Cell],
    models: ModelSource,
    cache: ArtefactCache,
) -> dict[str, Entry]:
    """The variants that are in the client's cache already, by the ids of their steps."""
    found = {}
    for step in work.before(cells):
        workload = setup.config.workloads[step.workload]
        if step.kind is StepKind.TRAIN and isinstance(workload, TrainedWorkload):
            product = models.variant_product(step.workload, workload, step.variant)
            entry = cache.fetch(product.key)
            if entry is not None:
                found[step.id] = entry
    return found


def _data(setup: RunSetup, models: ModelSource, cache: ArtefactCache) -> Iterator[Entry]:
    """The data of users' recipes, which only this machine can read."""
    for name in setup.recipes:
        workload = setup.config.workloads[name]
        assert isinstance(workload, TrainedWorkload)
        entry = cache.entry_of(models.training_data(name, workload).files["test"])
        if entry is not None:
            yield entry
