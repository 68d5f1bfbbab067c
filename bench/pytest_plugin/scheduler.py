"""Which xdist worker gets which tests: a family of cells stays together, and every run ends.

All tests of the cells that share one trained model go to one worker, so no worker waits for
another's training while there is other work. The families alternate between workloads (see
`bench.plan.grid.make_plan`), so the first workers begin with different trainings. Cells of a target
with a single device go to one worker, whatever their family: it drives the device and gives it all
of them together.

xdist's own scheduler for scopes is not used: after a worker has died, it can leave the others
waiting forever (see docs/decisions/0019-scheduler.md). A worker needs little:

- It runs a test only when it knows the next one, or that there is none (`shutdown`). So it always
  has two tests, and is told to shut down as soon as there are no more.
- A worker that has been told to shut down takes no more work. The tests of a dead worker go to
  those that still take some, otherwise to the one that replaces it.
- The test during which a worker died is not given to another.
- A worker can be dead before the controller is told. Tests that can no longer be sent to it stay in
  the queue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import pytest
from xdist.workermanage import parse_tx_spec_config

from targets.registry import EXCLUSIVE

__all__ = ["FamilyScheduling", "Worker", "family_of"]

_PARAMETER = re.compile(r"\[(?P<id>.+)\]$")
#: How many tests a worker needs to know: the one that it runs, and the next.
_AHEAD = 2


def family_of(nodeid: str) -> str:
    """The scheduling group of a test: `workload-variant` of its cell or sweep, otherwise itself.

    For a target with a single device it is the target.

    Tests over several variants (`test_variant_order`) carry a workload and an accelerator in
    that place and so form groups of their own.
    """
    match = _PARAMETER.search(nodeid)
    if match is None:
        return nodeid
    parts = match["id"].split("-")
    # Workload and variant come first, and could have the name of a target.
    exclusive = [part for part in parts[2:] if part in EXCLUSIVE]
    return exclusive[0] if exclusive else "-".join(parts[:2])


class Worker(Protocol):
    """The part of xdist's `WorkerController` that is used."""

    @property
    def shutting_down(self) -> bool:
        """Whether it has been told to shut down, or is down."""
        ...

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        """Queue the tests with these places in the collection.

        Raises:
            OSError: its process has died.
        """
        ...

    def shutdown(self) -> None:
        """Let it finish what is queued, and end."""
        ...


class FamilyScheduling:
    """xdist's `Scheduling` protocol, with the cell's family as the unit of work."""

    def __init__(
        self,
        config: pytest.Config,
        log: Any = None,
        family: Callable[[str], str] = family_of,
    ) -> None:
        """`family` gives what the tests of a unit have in common, from the name of one."""
        self.config = config
        self._family = family
        #: Workers whose collections start the run.
        self.numnodes = len(parse_tx_spec_config(config))
        #: The tests by their places; None until all first workers have collected.
        self.collection: list[str] | None = None
        self._collected: dict[Worker, list[str]] = {}
        #: Places of the tests that a worker has and has not finished, in the order it runs them.
        self._pending: dict[Worker, list[int]] = {}
        #: Families that nobody has, each with the places of its unfinished tests.
        self._queue: list[list[int]] = []

    @property
    def nodes(self) -> list[Worker]:
        """The workers that are alive."""
        return list(self._pending)

    @property
    def collection_is_completed(self) -> bool:
        """Whether as many workers as the run began with have collected."""
        return len(self._collected) >= self.numnodes

    @property
    def tests_finished(self) -> bool:
        """Whether the workers need only be told to shut down to finish the last tests."""
        return (
            self.collection_is_completed
            and not self._queue
            and all(len(pending) < _AHEAD for pending in self._pending.values())
        )

    @property
    def has_pending(self) -> bool:
        """Whether any test is not finished."""
        return bool(self._queue) or any(self._pending.values())

    def add_node(self, node: Worker) -> None:
        """A worker has started."""
        assert node not in self._pending
        self._pending[node] = []

    def add_node_collection(self, node: Worker, collection: Sequence[str]) -> None:
        """A worker has collected. One that replaces another must have found the same tests."""
        assert node in self._pending
        if self.collection is not None and list(collection) != self.collection:
            # It has another list, so it cannot get places in ours, and must not be waited for.
            node.shutdown()
            return
        self._collected[node] = list(collection)

    def schedule(self) -> None:
        """Give out work; called when a worker has collected and all first workers have."""
        if self.collection is None:
            first, *others = self._collected.values()
            if any(other != first for other in others):
                self._shut_down_all()
                raise RuntimeError(
                    "the workers collected different tests, so none can be given to them by its "
                    "place; a test's parameters must not depend on the process"
                )
            self.collection = first
            self._queue = self._families(range(len(first)))
        for node in self.nodes:
            self._refill(node)

    def mark_test_complete(self, node: Worker, item_index: int, duration: float = 0) -> None:
        """A worker has finished a test."""
        self._pending[node].remove(item_index)
        self._refill(node)

    def mark_test_pending(self, item: str) -> None:
        """Put back a test that a plugin wants to run again after a crash."""
        assert self.collection is not None
        self._queue.insert(0, [self.collection.index(item)])
        for node in self.nodes:
            self._refill(node)

    def remove_pending_tests_from_node(self, node: Worker, indices: Sequence[int]) -> None:
        """Never called, because no test is ever taken from a living worker."""
        raise NotImplementedError

    def remove_node(self, node: Worker) -> str | None:
        """A worker has gone. Returns the test it died in, if it had not finished all of its own."""
        pending = self._pending.pop(node)
        if not pending:
            return None
        assert self.collection is not None
        crashed, *left = pending
        # Still a family at a time: what it shares is in the cache or must still be made.
        self._queue[:0] = self._families(left)
        for other in self.nodes:
            self._refill(other)
        return self.collection[crashed]

    def _refill(self, node: Worker) -> None:
        """Keep `node` two tests ahead, or let it end if nothing is left."""
        if node.shutting_down or node not in self._collected:
            return
        pending = self._pending[node]
        while self._queue and len(pending) < _AHEAD:
            try:
                node.send_runtest_some(self._queue[0])
            except OSError:
                # It is dead. `remove_node` comes next, and gives this family to another.
                return
            pending.extend(self._queue.pop(0))
        if not self._queue:
            node.shutdown()

    def _shut_down_all(self) -> None:
        for node in self.nodes:
            node.shutdown()

    def _families(self, places: Iterable[int]) -> list[list[int]]:
        """The `places` of the collection by family, in the order of their first tests."""
        assert self.collection is not None
        families: dict[str, list[int]] = {}
        for place in places:
            families.setdefault(self._family(self.collection[place]), []).append(place)
        return list(families.values())
