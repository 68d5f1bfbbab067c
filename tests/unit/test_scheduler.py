"""The scheduler ends every run, whichever workers die when: played with workers in slow motion."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.pytest_plugin.scheduler import FamilyScheduling, Worker, family_of


class SlowWorker:
    """A worker as xdist's is: it runs a test once it knows the next, or that there is none."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.tests = list(tests)
        self.queue: deque[int] = deque()
        self.shutting_down = False
        self.collected = False
        #: Dead, but the controller has not been told.
        self.dead = False
        #: Tests that it ran before it died, of which the controller has not been told.
        self.untold: deque[int] = deque()

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        assert indices, "an empty piece of work would never be reported as done"
        assert not self.shutting_down
        if self.dead:
            raise OSError("cannot send (already closed?)")
        self.queue.extend(indices)

    def die(self, ran: int) -> None:
        """Die after that many more tests, or as many as it can run."""
        while ran and self.can_run:
            ran -= 1
            self.untold.append(self.queue.popleft())
        self.dead = True

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def can_run(self) -> bool:
        return len(self.queue) > 1 or (bool(self.queue) and self.shutting_down)


class Controller:
    """What xdist's session does with its scheduler; `step` plays one event."""

    def __init__(self, tests: Sequence[str], workers: int, restarts: int) -> None:
        self.tests = list(tests)
        config = cast(Any, _Config(workers))
        self.scheduler = FamilyScheduling(config)
        self.alive: list[SlowWorker] = []
        self.restarts = restarts
        self.done: list[str] = []
        self.crashed: list[str] = []
        self.shutting_down = False
        self.out_of_restarts = False
        for _ in range(workers):
            self._start()

    def _start(self) -> None:
        worker = SlowWorker(self.tests)
        self.alive.append(worker)
        self.scheduler.add_node(cast(Worker, worker))

    def collect(self, worker: SlowWorker) -> None:
        worker.collected = True
        self.scheduler.add_node_collection(cast(Worker, worker), worker.tests)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()

    def run_one(self, worker: SlowWorker) -> None:
        place = worker.queue.popleft()
        self.done.append(self.tests[place])
        self.scheduler.mark_test_complete(cast(Worker, worker), place)

    def tell(self, worker: SlowWorker) -> None:
        """Read the next message of a worker that has died; the last says so."""
        if worker.untold:
            place = worker.untold.popleft()
            self.done.append(self.tests[place])
            self.scheduler.mark_test_complete(cast(Worker, worker), place)
        else:
            self.kill(worker)

    def kill(self, worker: SlowWorker) -> None:
        self.alive.remove(worker)
        crashed = self.scheduler.remove_node(cast(Worker, worker))
        if crashed:
            self.crashed.append(crashed)
        if self.restarts > 0:
            self.restarts -= 1
            self.shutting_down = False
            self._start()
        else:
            self.out_of_restarts = True
            self.shut_down()

    def end(self, worker: SlowWorker) -> None:
        self.alive.remove(worker)
        assert self.scheduler.remove_node(cast(Worker, worker)) is None

    def shut_down(self) -> None:
        self.shutting_down = True
        for node in self.scheduler.nodes:
            node.shutdown()

    def actions(self) -> list[Any]:
        """Everything that can happen next by itself."""
        found: list[Any] = []
        for worker in self.alive:
            if worker.dead:
                found.append(lambda w=worker: self.tell(w))
            elif not worker.collected and not (self.shutting_down and worker.shutting_down):
                found.append(lambda w=worker: self.collect(w))
            elif worker.can_run:
                found.append(lambda w=worker: self.run_one(w))
            elif worker.shutting_down and not worker.queue:
                found.append(lambda w=worker: self.end(w))
        return found


class _Config:
    def __init__(self, workers: int) -> None:
        self.workers = workers

    def getvalue(self, name: str) -> Any:
        assert name == "tx"
        return [f"{self.workers}*popen"]


def _tests(families: Sequence[int]) -> list[str]:
    """Tests of as many families as there are numbers, each of that many tests, interleaved."""
    return [
        f"test_x.py::test_{n}[w{family}-v-u55_32-shared_sram-sim]"
        for n in range(max(families, default=0))
        for family, size in enumerate(families)
        if n < size
    ]


@given(
    families=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    workers=st.integers(1, 4),
    restarts=st.integers(0, 6),
    data=st.data(),
)
def test_every_run_ends_and_each_test_runs_once(
    families: list[int], workers: int, restarts: int, data: st.DataObject
) -> None:
    tests = _tests(families)
    controller = Controller(tests, workers, restarts)
    deaths = data.draw(st.integers(0, restarts + 1))
    for _ in range(1000):
        actions = controller.actions()
        if not controller.alive:
            break
        if deaths and data.draw(st.booleans()):
            deaths -= 1
            data.draw(st.sampled_from(controller.alive)).die(data.draw(st.integers(0, 3)))
            continue
        assert actions, "nobody can do anything and the run has not ended"
        data.draw(st.sampled_from(actions))()
        if controller.scheduler.tests_finished:
            controller.shut_down()
    assert not controller.alive, "the run has not ended"
    assert len(set(controller.done)) == len(controller.done)
    assert not set(controller.done) & set(controller.crashed)
    if not controller.out_of_restarts:
        assert set(controller.done) | set(controller.crashed) == set(tests)


def test_without_deaths_everything_runs() -> None:
    tests = _tests([3, 1, 2])
    controller = Controller(tests, 2, 0)
    while controller.alive:
        controller.actions()[0]()
    assert sorted(controller.done) == sorted(tests)


@pytest.mark.parametrize("finished", range(6))
def test_what_a_dead_worker_leaves_goes_to_its_replacement(finished: int) -> None:
    tests = _tests([6])
    controller = Controller(tests, 1, 1)
    controller.collect(controller.alive[0])
    for _ in range(finished):
        controller.run_one(controller.alive[0])
    controller.kill(controller.alive[0])
    while controller.alive:
        controller.actions()[0]()
    assert controller.crashed == [tests[finished]]
    assert sorted(controller.done + controller.crashed) == sorted(tests)


def test_tests_that_cannot_be_sent_to_a_dead_worker_are_not_lost() -> None:
    tests = _tests([2, 2])
    controller = Controller(tests, 1, 1)
    worker = controller.alive[0]
    controller.collect(worker)
    worker.die(ran=1)
    controller.tell(worker)
    assert len(worker.queue) == 1
    controller.tell(worker)
    while controller.alive:
        controller.actions()[0]()
    # The one in which it died, and no other.
    assert controller.crashed == [tests[2]]
    assert sorted(controller.done + controller.crashed) == sorted(tests)


def test_a_replacement_that_finds_other_tests_is_not_waited_for() -> None:
    controller = Controller(_tests([4]), 1, 1)
    controller.collect(controller.alive[0])
    controller.kill(controller.alive[0])
    controller.alive[0].tests = ["another.py::test"]
    controller.collect(controller.alive[0])
    assert controller.alive[0].shutting_down


def test_families_stay_together() -> None:
    names = _tests([2, 2])
    assert len({family_of(name) for name in names}) == 2
    controller = Controller(names, 2, 0)
    for worker in list(controller.alive):
        controller.collect(worker)
    for worker in controller.alive:
        assert len({family_of(names[place]) for place in worker.queue}) == 1
