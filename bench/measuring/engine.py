"""The life of a cell: model -> test set -> compilation -> measurement -> reference -> record.

A cell is planned before it comes here (see `planning`), so what its target cannot do costs nothing.
The products are obtained in this order (the first three by `preparation`), and each goes to the
next step. They are in the artefact cache under the hash of everything they depend on, so the engine
only does what has not been done before, in this process or any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.arrays import Array
from bench.core.errors import BenchError
from bench.measuring.compilation import Compilation, Compiler
from bench.measuring.figures import accuracy_of, binding, promised
from bench.measuring.measurements import keep_measurement, kept_measurement
from bench.measuring.once import Once
from bench.measuring.planning import CellPlan
from bench.measuring.preparation import Preparation, Ready, VariantSource
from bench.measuring.products import ProductStore
from bench.measuring.progress import Task
from bench.measuring.reference import compare_outputs
from bench.plan.cell import Cell
from bench.records.measurement import MeasurementRecord
from bench.records.quality import ReferenceRecord
from bench.records.record import CellIdentity, Record
from bench.tflite.reference import Reference, ReferenceOutputs
from targets.protocol import BatchTarget, Job, Measurement, Target

__all__ = ["Engine"]


@dataclass(frozen=True)
class _Referred:
    """What the reference is asked: the same for all cells of a family, whose model and data it is.

    A target may run fewer samples than another.
    """

    workload: str
    variant: str
    samples: int
    model: Path = field(compare=False)
    inputs: Sequence[Array] = field(compare=False)


class Engine:
    """Makes the records of planned cells. One per process; products are shared through the cache.

    A failed step is not tried again in the same process: every cell that needs it gets the same
    error.
    """

    def __init__(
        self,
        plans: Mapping[Cell, CellPlan],
        *,
        store: ProductStore,
        models: VariantSource,
        compiler: Compiler,
        targets: Mapping[str, Target],
        reference: Reference,
        reference_samples: int,
    ) -> None:
        """`plans` are those of all cells that will be requested. A target that starts slowly gets
        all its cells together, when the first is requested.

        `reference_samples` is how many of the inputs are compared with `reference`, at most.
        """
        self._plans = plans
        self._store = store
        self._preparation = Preparation(
            plans, store=store, models=models, compiler=compiler, targets=targets
        )
        self._reference = reference
        self._reference_samples = reference_samples
        self._batch = Once(self._measure_together)
        self._referred = Once(self._refer)
        #: The record of a planned cell, without verdicts. Raises `BenchError` where a step fails.
        self.record = Once(self._make_record)

    def outputs(self, cell: Cell) -> tuple[Array, ...]:
        """The outputs of a planned cell; none if its target gives none. Raises as `record` does."""
        return self._measured(self._preparation.ready(cell))[1]

    def compiled(self, cell: Cell) -> Compilation:
        """The compiled model of a planned cell; its target is not asked. Raises `BenchError`."""
        return self._preparation.compiled(cell)

    def job(self, cell: Cell) -> Job:
        """What the target of a planned cell is given. Raises `BenchError` where a step fails."""
        return self._preparation.ready(cell).job

    def _make_record(self, cell: Cell) -> Record:
        ready = self._preparation.ready(cell)
        measurement, outputs = self._measured(ready)
        compared, not_compared = self._compared(ready, measurement, outputs)
        accuracy, no_accuracy = accuracy_of(ready.model, measurement, outputs, ready.test_set)
        return Record(
            cell=CellIdentity.of(cell),
            data=ready.test_set.identity,
            model=ready.model.record,
            compilation=ready.compilation.record,
            measurement=measurement,
            accuracy=accuracy,
            accuracy_absent=no_accuracy,
            reference=compared,
            reference_absent=not_compared,
            binding=dict(binding(measurement, ready.compilation.record.report).shares),
            timing_sha256=ready.timing_sha256,
            code_sha256=ready.code_sha256,
            promised=promised(ready.can, ready.test_set),
        )

    def _measured(self, ready: Ready) -> tuple[MeasurementRecord, tuple[Array, ...]]:
        """The measurement and the outputs, from the cache or from the target."""
        if isinstance(ready.target, BatchTarget):
            failed = self._batch(ready.cell.target).get(ready.measurement.key.digest)
            if failed is not None:
                raise failed

        def build(directory: Path) -> None:
            with Task.running("measure", ready.cell.id, self._store.sink):
                measurement = ready.target.run(ready.job)
            keep_measurement(directory, ready.cell.id, measurement)

        return kept_measurement(self._store.obtain(ready.measurement, build))

    def _measure_together(self, name: str) -> dict[str, BenchError]:
        """Measure the planned cells of a `BatchTarget` that are not in the cache.

        Returns the digests of the measurements that failed, and why. Cells that cannot be made
        ready are left out; a request for such a cell raises the reason.
        """
        waiting: dict[str, Ready] = {}
        for cell in sorted(self._plans, key=lambda cell: cell.id):
            if cell.target != name:
                continue
            try:
                ready = self._preparation.ready(cell)
            except BenchError:
                continue
            if self._store.find(ready.measurement) is None:
                waiting.setdefault(ready.measurement.key.digest, ready)
        batch = list(waiting.values())
        if not batch:
            return {}
        target = batch[0].target
        assert isinstance(target, BatchTarget)
        failed: dict[str, BenchError] = {}
        with Task.running("measure", f"{name}, {len(batch)} cells", self._store.sink) as task:
            outcomes = target.run_batch([ready.job for ready in batch])
            for done, (number, outcome) in enumerate(outcomes, start=1):
                task.say(f"{done} of {len(batch)} done")
                try:
                    self._keep(batch[number], outcome)
                except BenchError as error:
                    failed[batch[number].measurement.key.digest] = error
        return failed

    def _keep(self, ready: Ready, outcome: Measurement | BenchError) -> None:
        if isinstance(outcome, BenchError):
            raise outcome
        self._store.obtain(
            ready.measurement,
            lambda directory: keep_measurement(directory, ready.cell.id, outcome),
        )

    def _compared(
        self, ready: Ready, measurement: MeasurementRecord, outputs: Sequence[Array]
    ) -> tuple[ReferenceRecord | None, str]:
        """The comparison of the target's outputs with the reference's, or why there is none."""
        if not ready.can.executes_artefact:
            return None, f"target {ready.cell.target!r} does not execute the compiled model"
        if not outputs:
            return None, measurement.outputs_absent
        some = ready.test_set.first(self._reference_samples)
        asked = _Referred(
            workload=ready.cell.workload,
            variant=ready.cell.variant,
            samples=len(some.inputs[0]),
            model=ready.model.path,
            inputs=some.inputs,
        )
        return compare_outputs(outputs, self._referred(asked))

    def _refer(self, asked: _Referred) -> ReferenceOutputs:
        return self._reference(asked.model, asked.inputs)
