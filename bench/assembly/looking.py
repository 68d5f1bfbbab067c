"""Which steps of a run the cache holds already. Nothing is made to find out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from bench.assembly.session import RunSetup, Tools, abilities, assembled
from bench.cache import ArtefactCache
from bench.core.errors import BenchError
from bench.measuring.kept import KeptProducts
from bench.measuring.once import Once
from bench.measuring.origins import QuantisedModel
from bench.measuring.planning import CellPlan, plan_cells
from bench.measuring.preparation import Preparation
from bench.measuring.progress import ignore
from bench.plan.cell import Cell
from bench.plan.config import TrainedWorkload
from bench.plan.work import Step, StepKind, Work, work_of
from bench.records.run_directory import RunDirectory

__all__ = ["holds_everything", "kept_steps"]


def kept_steps(setup: RunSetup, work: Work) -> dict[str, bool | None]:
    """Id of each step of `work` -> whether the cache holds what it makes.

    None for the workloads of a user's recipe: what such a recipe is, only running it would tell.
    A step that cannot be made here, because its target is missing or its model is damaged, is not
    held.
    """
    with ExitStack() as stack:
        look = _look(setup, work, stack)
        return {
            id_: None if look.is_unknown(step) else look.holds(step)
            for id_, step in work.steps.items()
        }


def holds_everything(setup: RunSetup) -> bool:
    """Whether the cache holds all that a run of `setup` would make; False if that is unknown."""
    work = work_of(setup.config, setup.plan())
    with ExitStack() as stack:
        look = _look(setup, work, stack)
        # The last steps first: without the cache, their models are missing, and that is told soon.
        return all(
            not look.is_unknown(step) and look.holds(step)
            for step in reversed(list(work.steps.values()))
        )


def _look(setup: RunSetup, work: Work, stack: ExitStack) -> _Look:
    """What a run would use, over a cache that makes nothing; `stack` ends what it starts."""
    store = KeptProducts(ArtefactCache(setup.cache_root), setup.code, ignore)
    tools = assembled(setup, store, RunDirectory(setup.run_path).logs, ignore, stack)
    cells = dict.fromkeys(step.cell for step in work.steps.values())
    plans = plan_cells(setup.config, cells, abilities(setup, tools.targets))
    preparation = Preparation(
        plans, store=store, models=tools.models, compiler=tools.compiler, targets=tools.targets
    )
    return _Look(tools, plans, preparation)


class _Look:
    def __init__(
        self, tools: Tools, plans: Mapping[Cell, CellPlan], preparation: Preparation
    ) -> None:
        self._config = tools.setup.config
        self._velas = tools.setup.vela_installations(ignore)
        self._plans = plans
        self._models = tools.models
        self._compiler = tools.compiler
        self._reference = tools.reference
        self._preparation = preparation
        self._store = tools.store
        self._model = Once(self._make_model)
        self._ask: dict[StepKind, Callable[[Step], bool]] = {
            StepKind.TRAIN: self._has_model,
            StepKind.MODEL: self._has_model,
            StepKind.COMPILE: self._has_compilation,
            StepKind.REFERENCE: self._has_reference,
            StepKind.MEASURE: self._has_measurement,
        }

    def is_unknown(self, step: Step) -> bool:
        """Whether only running the user's code would tell what the product is called."""
        workload = self._config.workloads[step.workload]
        if not isinstance(workload, TrainedWorkload) or not workload.is_users:
            return False
        return step.variant not in workload.frozen

    def holds(self, step: Step) -> bool:
        """Whether the cache holds what `step` makes."""
        try:
            return self._ask[step.kind](step)
        except BenchError:
            return False

    def _make_model(self, family: tuple[str, str]) -> QuantisedModel:
        name, variant = family
        return self._models.quantised(name, self._config.workloads[name], variant)

    def _has_model(self, step: Step) -> bool:
        return bool(self._model((step.workload, step.variant)))

    def _has_compilation(self, step: Step) -> bool:
        # Asking for the Vela itself would install it.
        if self._velas.find(step.cell.vela) is None:
            return False
        model, options = self._model((step.workload, step.variant)), self._plans[step.cell].options
        return bool(self._compiler.compiled(step.name, model, options, step.cell.vela))

    def _has_reference(self, step: Step) -> bool:
        model, workload = (
            self._model((step.workload, step.variant)),
            self._config.workloads[step.workload],
        )
        inputs = self._models.test_set(step.workload, workload, model)
        some = inputs.first(self._config.reference.samples)
        return bool(self._reference(model.path, some.inputs))

    def _has_measurement(self, step: Step) -> bool:
        if self._velas.find(step.cell.vela) is None:
            return False
        ready = self._preparation.ready(step.cell)
        return self._store.find(ready.measurement) is not None
