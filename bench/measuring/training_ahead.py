"""Training in a thread, while the models that are ready are compiled and measured.

The builder is a process of its own. A process that measures alone would leave it idle meanwhile,
and a core with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from bench.core.processes.closing import Closing
from bench.measuring.origins import QuantisedModel
from bench.measuring.planning import CellPlan, Lack
from bench.measuring.preparation import VariantSource
from bench.measuring.testsets import TestSet
from bench.plan.config import TrainedWorkload, Workload

__all__ = ["TrainingAhead"]

#: Seconds between two attempts to end the work of the thread.
_STOP_S = 0.05


class TrainingAhead(Closing):
    """A `VariantSource` that obtains the trained variants of a plan in order, before it is asked.

    Each is obtained once, and whoever asks for it waits for it. Use as a context manager; leaving
    it ends the training that nobody waits for.
    """

    def __init__(
        self, models: VariantSource, plans: Iterable[CellPlan], stop: Callable[[], None]
    ) -> None:
        """`models` must be usable from two threads; `stop` ends what it is building."""
        self._models = models
        self._stop = stop
        self._thread = ThreadPoolExecutor(1, "training")
        self._obtained: dict[tuple[str, str], Future[QuantisedModel]] = {}
        for plan in plans:
            place = plan.cell.workload, plan.cell.variant
            if place not in self._obtained and _is_trained(plan):
                self._obtained[place] = self._thread.submit(
                    models.quantised, place[0], plan.workload, place[1]
                )

    def quantised(self, name: str, workload: Workload, variant: str) -> QuantisedModel:
        """See `VariantSource`."""
        obtained = self._obtained.get((name, variant))
        if obtained is None:
            return self._models.quantised(name, workload, variant)
        return obtained.result()

    def test_set(self, name: str, workload: Workload, model: QuantisedModel) -> TestSet:
        """See `VariantSource`."""
        return self._models.test_set(name, workload, model)

    def close(self) -> None:
        """End the thread's work. May be called again."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        # It may be about to start a build at the moment.
        while not all(obtained.done() for obtained in self._obtained.values()):
            self._stop()
            time.sleep(_STOP_S)


def _is_trained(plan: CellPlan) -> bool:
    """Whether the model of the cell may have to be trained; for an idle target nothing is done."""
    workload = plan.workload
    return (
        not isinstance(plan.target, Lack)
        and isinstance(workload, TrainedWorkload)
        and plan.cell.variant not in workload.frozen
    )
