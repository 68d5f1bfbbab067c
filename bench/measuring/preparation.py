"""A planned cell on its way to its target: model -> test set -> compilation -> job."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.compiler import VelaOptions
from bench.core.errors import TargetUnavailableError
from bench.measuring.compilation import Compilation, Compiler
from bench.measuring.measurements import KEEPING_CODE, requested_events
from bench.measuring.once import Once
from bench.measuring.origins import QuantisedModel
from bench.measuring.planning import CellPlan, Lack
from bench.measuring.products import Product, ProductStore
from bench.measuring.reference import REFERENCE_CODE
from bench.measuring.testsets import TestSet
from bench.plan.cell import INSTALLED_VELA, Cell
from bench.plan.config import Workload
from targets.protocol import Capabilities, Job, Target

__all__ = ["Preparation", "Ready", "VariantSource", "measurement_code"]


class VariantSource(Protocol):
    """Where the models of a workload's variants come from, and their test sets."""

    def quantised(self, name: str, workload: Workload, variant: str) -> QuantisedModel:
        """The quantised model of a variant of `workload`, which is called `name`."""
        ...

    def test_set(self, name: str, workload: Workload, model: QuantisedModel) -> TestSet:
        """The test set of `model`, quantised like its input tensors."""
        ...


@dataclass(frozen=True)
class Ready:
    """A cell with everything that its target gets."""

    cell: Cell
    target: Target
    can: Capabilities
    model: QuantisedModel
    test_set: TestSet
    compilation: Compilation
    job: Job
    #: The name of the measurement in the cache.
    measurement: Product

    @property
    def timing_sha256(self) -> str:
        """Of the timing profile's content."""
        return hashlib.sha256(self.job.timing.model_dump_json().encode()).hexdigest()

    @property
    def code_sha256(self) -> str:
        """Of our own code that shapes the measurement."""
        return str(self.measurement.key.parameters["code"])


@dataclass(frozen=True)
class _Prepared:
    """A target that can run jobs, and what its measurements depend on besides the job."""

    target: Target
    settings: Mapping[str, str]
    #: Entry points of our code.
    code: tuple[str, ...]


@dataclass(frozen=True)
class _Family:
    """The cells that share a quantised model."""

    workload: str
    variant: str


def measurement_code(target: Target) -> tuple[str, ...]:
    """Entry points of the code that shapes the measurements of `target`."""
    # Outputs may come from the reference, which the target gets.
    return (type(target).__module__, *target.programs(), *REFERENCE_CODE, *KEEPING_CODE)


class Preparation:
    """Obtains what is needed to measure cells; what several cells share, only once."""

    def __init__(
        self,
        plans: Mapping[Cell, CellPlan],
        *,
        store: ProductStore,
        models: VariantSource,
        compiler: Compiler,
        targets: Mapping[str, Target],
    ) -> None:
        self._plans = plans
        self._workloads = {plan.cell.workload: plan.workload for plan in plans.values()}
        self._store = store
        self._models = models
        self._compiler = compiler
        self._targets = targets
        self._prepared = Once(self._prepare)
        self._model = Once(self._quantised)
        self._test_set = Once(self._whole_test_set)
        self._part = Once(self._part_of_test_set)
        self._compilation = Once(self._compiled)
        #: The cell, ready. Raises `TargetUnavailableError`, before anything is obtained, for a cell
        #: that its target cannot measure, and `BenchError` if a step fails.
        self.ready = Once(self._make_ready)

    def compiled(self, cell: Cell) -> Compilation:
        """The compiled model of a planned cell, whether or not its target is available."""
        plan = self._plans[cell]
        return self._compilation((_Family(cell.workload, cell.variant), plan.options, cell.vela))

    def _make_ready(self, cell: Cell) -> Ready:
        plan = self._plans[cell]
        if isinstance(plan.target, Lack):
            raise TargetUnavailableError(plan.target.what, cure=plan.target.cure)
        prepared = self._prepared(cell.target)
        family = _Family(cell.workload, cell.variant)
        model = self._model(family)
        test_set = self._part((family, plan.target.samples))
        if test_set.identity.steps is not None and plan.target.no_streams:
            raise TargetUnavailableError(
                f"{cell.id}: the data set has streams: {plan.target.no_streams}",
                cure="use another target, or a data set of independent inputs",
            )
        compilation = self._compilation((family, plan.options, cell.vela))
        events = requested_events(plan.target)
        job = Job(
            cell_id=cell.id,
            accelerator=cell.accelerator,
            memory_mode=cell.memory_mode,
            source_model=model.path,
            compiled_model=compilation.path,
            vela_version=compilation.record.vela_version,
            report=compilation.record.report,
            timing=plan.timing,
            timing_name=plan.timing_name,
            inputs=test_set.inputs,
            events=events,
        )
        product = self._store.product(
            "measurement",
            cell.id,
            {
                "compiled": compilation.digest,
                "inputs": test_set.inputs_sha256,
                "target": prepared.settings,
                "events": list(events),
                "timing": plan.timing.model_dump(mode="json"),
                "timing_name": plan.timing_name,
                # The first has the key that it always had.
                **({"repetition": plan.repetition} if plan.repetition else {}),
            },
            prepared.code,
        )
        return Ready(cell, prepared.target, plan.target, model, test_set, compilation, job, product)

    def _prepare(self, name: str) -> _Prepared:
        target = self._targets[name]
        target.prepare()
        return _Prepared(target, target.fingerprint(), measurement_code(target))

    def _quantised(self, family: _Family) -> QuantisedModel:
        workload = self._workloads[family.workload]
        return self._models.quantised(family.workload, workload, family.variant)

    def _whole_test_set(self, family: _Family) -> TestSet:
        workload = self._workloads[family.workload]
        return self._models.test_set(family.workload, workload, self._model(family))

    def _part_of_test_set(self, part: tuple[_Family, int | None]) -> TestSet:
        family, samples = part
        return self._test_set(family).first(samples)

    def _compiled(self, place: tuple[_Family, VelaOptions, str]) -> Compilation:
        family, options, vela = place
        parts = [
            *(family.workload, family.variant, options.accelerator.slug, options.memory_mode.slug),
            *([] if vela == INSTALLED_VELA else [f"Vela {vela}"]),
        ]
        name = "-".join(parts)
        return self._compiler.compiled(name, self._model(family), options, vela)
