"""The life of a cell: variant -> quantised model -> compiled model -> measurement -> record.

Each step's product lies in the artefact cache under the hash of everything it depends on, so
the engine only ever does what has not been done before, in this process or any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cache import JSON, ArtefactCache, CacheKey
from bench.compiler import CompiledModel, VelaOptions, VelaRunner, compile_model
from bench.core.arrays import Array, digest_arrays
from bench.core.errors import BenchError, TargetUnavailableError
from bench.core.fingerprint import source_fingerprint
from bench.measuring.measurements import (
    EVENTS,
    accuracy_of,
    binding,
    keep_measurement,
    kept_measurement,
    promised,
)
from bench.measuring.progress import Sink, Task, waiting
from bench.measuring.reference import Reference, compare_outputs
from bench.measuring.sources import ModelSource, TestSet
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig, timing_of
from bench.records.measurement import MeasurementRecord
from bench.records.record import (
    CellIdentity,
    CompilationRecord,
    ModelRecord,
    Record,
    ReferenceRecord,
)
from bench.tflite.placement import cpu_operators
from targets.protocol import BatchTarget, Job, Measurement, Target

__all__ = ["Engine", "compiled_key"]


@dataclass(frozen=True)
class Compiled:
    """A compiled model in the cache, and the digest of what it was made from."""

    path: Path
    digest: str
    model: CompiledModel


@dataclass(frozen=True)
class Planned:
    """A measurement to make, and the name it is kept under."""

    cell: Cell
    key: CacheKey
    job: Job


class Engine:
    """Makes records of cells. One per process; products are shared through the cache.

    A step that failed once is not tried again in the same process: every cell that needs it
    gets the same error.
    """

    def __init__(
        self,
        config: BenchConfig,
        *,
        cache: ArtefactCache,
        source: ModelSource,
        targets: Mapping[str, Target],
        reference: Reference,
        vela: VelaRunner,
        sink: Sink,
        wanted: Sequence[Cell] = (),
    ) -> None:
        """`wanted`: the cells that will be asked for. A target that starts slowly is given those of
        them that are its own together, when the first is asked for.
        """
        self._config = config
        self._wanted = wanted
        self._batched: set[str] = set()
        self._vela = vela
        self._cache = cache
        self._source = source
        self._targets = targets
        self._reference = reference
        self._sink = sink
        self._compiled: dict[tuple[object, ...], Compiled] = {}
        self._records: dict[str, Record] = {}
        self._failed: dict[str, BenchError] = {}
        #: Of the targets that are prepared.
        self._fingerprints: dict[str, Mapping[str, str]] = {}

    def record(self, cell: Cell) -> Record:
        """The record of `cell`, without verdicts.

        Raises:
            BenchError: a step failed; the same error again when asked again.
        """
        if cell.id in self._failed:
            raise self._failed[cell.id]
        if cell.id not in self._records:
            try:
                self._records[cell.id] = self._make_record(cell)
            except BenchError as error:
                self._failed[cell.id] = error
                raise
        return self._records[cell.id]

    def _make_record(self, cell: Cell) -> Record:
        model = self._source.quantised(cell.workload, cell.variant)
        test_set = self._test_set(cell)
        compiled = self._compile(cell, model.path, model.record)
        measurement, outputs = self._measure(cell)
        accuracy, absent = accuracy_of(model, outputs, test_set)
        compared, not_compared = self._compare(cell, model.path, outputs, test_set)
        return Record(
            cell=CellIdentity.of(cell),
            data=test_set.identity,
            model=model.record,
            compilation=CompilationRecord(
                vela_version=compiled.model.vela_version,
                command=compiled.model.command,
                options=compiled.model.options,
                sha256=compiled.model.sha256,
                device_model_bytes=compiled.model.device_model_bytes,
                report=compiled.model.report,
                cpu_operators=cpu_operators(compiled.path),
            ),
            measurement=measurement,
            accuracy=accuracy,
            accuracy_absent=absent,
            reference=compared,
            reference_absent=not_compared,
            binding=dict(binding(measurement, compiled.model.report).shares),
            promised=promised(self._targets[cell.target].capabilities(), test_set),
        )

    def _test_set(self, cell: Cell) -> TestSet:
        samples = self._targets[cell.target].capabilities().samples
        return self._source.test_set(cell.workload, cell.variant).first(samples)

    def _compile(self, cell: Cell, model: Path, record: ModelRecord) -> Compiled:
        options = VelaOptions(
            accelerator=cell.accelerator,
            memory_mode=cell.memory_mode,
            system_config=cell.system_config,
            config_file=self._config.vela.config_file,
            optimise=self._config.vela.optimise,
        )
        place = (record.sha256, options)
        if place in self._compiled:
            return self._compiled[place]
        key = compiled_key(record.sha256, options)
        name = f"{cell.family}-{cell.accelerator.slug}-{cell.memory_mode.slug}"

        def build(directory: Path) -> None:
            with Task.running("compile", name, self._sink):
                made = compile_model(
                    model,
                    options,
                    directory,
                    bounds=self._config.vela.bounds,
                    runner=self._vela,
                )
            (directory / "compiled.json").write_text(made.model_dump_json(indent=1))

        entry = self._cache.get_or_build(key, build, on_wait=waiting(name, self._sink))
        text = (entry.path / "compiled.json").read_text()
        product = CompiledModel.model_validate_json(text)
        compiled = Compiled(product.path(entry.path), key.digest, product)
        self._compiled[place] = compiled
        return compiled

    def _measure(self, cell: Cell) -> tuple[MeasurementRecord, tuple[Array, ...]]:
        target = self._target(cell)
        if isinstance(target, BatchTarget) and cell.target not in self._batched:
            self._batched.add(cell.target)
            self._measure_together(
                target, {cell, *(c for c in self._wanted if c.target == cell.target)}
            )
        if cell.id in self._failed:
            raise self._failed[cell.id]
        planned = self._plan(cell)

        def build(directory: Path) -> None:
            with Task.running("measure", cell.id, self._sink):
                measurement = target.run(planned.job)
            keep_measurement(directory, cell, measurement)

        entry = self._cache.get_or_build(planned.key, build, on_wait=waiting(cell.id, self._sink))
        return kept_measurement(entry)

    def _plan(self, cell: Cell) -> Planned:
        model = self._source.quantised(cell.workload, cell.variant)
        test_set = self._test_set(cell)
        compiled = self._compile(cell, model.path, model.record)
        timing_name, timing = timing_of(self._config, cell)
        key = CacheKey(
            "measurement",
            {
                "compiled": compiled.digest,
                "inputs": digest_arrays(test_set.inputs),
                "target": dict(self._fingerprints[cell.target]),
                "events": list(EVENTS),
                "timing": timing.model_dump(mode="json"),
                "timing_name": timing_name,
            },
        )
        job = Job(
            cell_id=cell.id,
            accelerator=cell.accelerator,
            memory_mode=cell.memory_mode,
            source_model=model.path,
            compiled_model=compiled.path,
            report=compiled.model.report,
            timing=timing,
            timing_name=timing_name,
            inputs=test_set.inputs,
            events=EVENTS,
        )
        return Planned(cell, key, job)

    def _measure_together(self, target: BatchTarget, cells: Iterable[Cell]) -> None:
        """Measure those of `cells` that are not in the cache; failures are kept for who asks."""
        planned: dict[str, Planned] = {}
        for cell in sorted(cells, key=lambda c: c.id):
            try:
                self._target(cell)
                one = self._plan(cell)
                if self._cache.find(one.key) is None:
                    planned.setdefault(one.key.digest, one)
            except BenchError as error:
                self._failed[cell.id] = error
        batch = list(planned.values())
        if not batch:
            return
        name = f"{target.capabilities().name}, {len(batch)} cells"
        with Task.running("measure", name, self._sink) as task:
            outcomes = target.run_batch([one.job for one in batch])
            for done, (number, outcome) in enumerate(outcomes, start=1):
                task.say(f"{done} of {len(batch)} done")
                self._take(batch[number], outcome)

    def _take(self, planned: Planned, outcome: Measurement | BenchError) -> None:
        try:
            if isinstance(outcome, BenchError):
                raise outcome
            self._cache.get_or_build(
                planned.key, lambda directory: keep_measurement(directory, planned.cell, outcome)
            )
        except BenchError as error:
            self._failed[planned.cell.id] = error

    def _compare(
        self, cell: Cell, model: Path, outputs: Sequence[Array], test_set: TestSet
    ) -> tuple[ReferenceRecord | None, str]:
        """The target's outputs against the reference's, or why they are not compared."""
        if not self._targets[cell.target].capabilities().executes_artefact:
            return None, f"target {cell.target!r} does not execute the compiled model"
        samples = self._config.reference.samples
        expected = self._reference(model, [array[:samples] for array in test_set.inputs])
        return compare_outputs(outputs, expected), ""

    def _target(self, cell: Cell) -> Target:
        target = self._targets[cell.target]
        capabilities = target.capabilities()
        if cell.accelerator not in capabilities.accelerators:
            raise TargetUnavailableError(
                f"{cell.id}: target {cell.target!r} has no {cell.accelerator.vela_name}",
                cure="leave this accelerator out of grid.macs",
            )
        if cell.memory_mode not in capabilities.memory_modes:
            raise TargetUnavailableError(
                f"{cell.id}: target {cell.target!r} has no {cell.memory_mode.value}",
                cure="leave this mode out of grid.memory_modes",
            )
        if cell.target not in self._fingerprints:
            target.prepare()
            self._fingerprints[cell.target] = target.fingerprint()
        return target


def compiled_key(model_sha256: str, options: VelaOptions) -> CacheKey:
    """Under which key the cache holds what Vela makes of a quantised model."""
    parameters: dict[str, JSON] = {
        "model": model_sha256,
        "vela": options.fingerprint(),
        "adapter": source_fingerprint("bench.compiler"),
    }
    return CacheKey("compiled", parameters)
