"""The engine: each product once, in order, and nothing for cells that cannot be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from bench.cache import ArtefactCache
from bench.compiler import VelaOptions
from bench.core.arrays import Array
from bench.core.errors import BenchError, ModelError, TargetError, TargetUnavailableError
from bench.core.fingerprint import read_source_tree
from bench.measuring import testsets
from bench.measuring.compilation import Compilation, Compiler, VelaInstallations, Velas
from bench.measuring.engine import Engine
from bench.measuring.origins import QuantisedModel
from bench.measuring.planning import plan_cells
from bench.measuring.products import ProductStore
from bench.measuring.progress import ignore
from bench.measuring.reference import CachedReference
from bench.measuring.sources import ModelSource
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig, Workload, parse_config
from bench.plan.grid import make_plan
from bench.tflite.reference import Reference, ReferenceOutputs, ReferenceRunner
from models.data import SUBSET
from models.service import VariantBuilder
from targets.ethos_u55.accelerators import Accelerator
from targets.protocol import Capabilities, Job, Measurement, Target
from targets.sim import SimulatorTarget
from targets.vela import VelaEstimate
from tests.support.bench_runs import QUICK, BenchRunner
from tests.support.models.vela_files import small_mlp

GRID = """
[grid]
macs = [32, 64]
memory_modes = ["Shared_Sram"]
targets = ["sim", "vela"]

[workloads]
one = "one.tflite"
"""


@dataclass
class Told:
    """The steps that were taken, in order."""

    steps: list[str] = field(default_factory=list)


class ToldModels(ModelSource):
    """As `ModelSource`, and tells."""

    told: Told

    def quantised(self, name: str, workload: Workload, variant: str) -> QuantisedModel:
        self.told.steps.append(f"model {name}")
        return super().quantised(name, workload, variant)

    def test_set(self, name: str, workload: Workload, model: QuantisedModel) -> testsets.TestSet:
        self.told.steps.append("test set")
        return super().test_set(name, workload, model)


class ToldCompiler(Compiler):
    """As `Compiler`, and tells."""

    told: Told

    def compiled(
        self, name: str, model: QuantisedModel, options: VelaOptions, vela: str
    ) -> Compilation:
        self.told.steps.append(f"compile {name}")
        return super().compiled(name, model, options, vela)


class ToldSimulator(SimulatorTarget):
    """As `SimulatorTarget`, and tells."""

    # Whose code its measurements depend on.
    __module__ = SimulatorTarget.__module__

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.told = told

    def run(self, job: Job) -> Measurement:
        self.told.steps.append(f"measure {job.cell_id}")
        return super().run(job)


class Together(ToldSimulator):
    """A simulator that wants its jobs together, and fails those of 32 MACs."""

    __module__ = SimulatorTarget.__module__

    def run_batch(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Measurement | BenchError]]:
        self.told.steps.append(f"batch of {len(jobs)}")
        for number, job in enumerate(jobs):
            if job.accelerator is Accelerator.U55_32:
                yield number, TargetError(f"{job.cell_id}: no luck")
            else:
                yield number, self.run(job)


class Narrow(ToldSimulator):
    """A simulator of 64 MACs and nothing else."""

    def capabilities(self) -> Capabilities:
        can = super().capabilities()
        return Capabilities(
            name="sim",
            source=can.source,
            events=can.events,
            executes_artefact=True,
            accelerators=frozenset({Accelerator.U55_64}),
        )

    def prepare(self) -> None:
        self.told.steps.append("prepare")


@pytest.fixture
def config(tmp_path: Path) -> BenchConfig:
    (tmp_path / "one.tflite").write_bytes(small_mlp())
    return parse_config(GRID, tmp_path / "bench.toml")


@dataclass(frozen=True)
class ToldReference:
    """A reference that tells when it is asked."""

    told: Told
    kept: Reference

    def fingerprint(self) -> Mapping[str, str]:
        return self.kept.fingerprint()

    def __call__(self, model: Path, inputs: Sequence[Array]) -> ReferenceOutputs:
        self.told.steps.append("reference")
        return self.kept(model, inputs)


MakeEngine = Callable[[BenchConfig, Path, Told, Target], tuple[Engine, tuple[Cell, ...]]]


@pytest.fixture
def engine_of() -> Iterator[MakeEngine]:
    """Makes engines whose processes end with the test."""
    with ExitStack() as life:
        yield partial(made_engine, life)


def made_engine(
    life: ExitStack, config: BenchConfig, cache: Path, told: Told, sim: Target
) -> tuple[Engine, tuple[Cell, ...]]:
    store = ProductStore(ArtefactCache(cache), read_source_tree(), ignore)

    kept = CachedReference(ReferenceRunner(), store)
    targets: dict[str, Target] = {"sim": sim, "vela": VelaEstimate(kept)}
    builder = life.enter_context(VariantBuilder())
    models = ToldModels(store=store, builder=builder, data=SUBSET, recipes={})
    velas = life.enter_context(Velas(VelaInstallations(store.cache, config.vela.locks, ignore)))
    compiler = ToldCompiler(store=store, velas=velas, bounds=config.vela.bounds)
    models.told = compiler.told = told
    cells = make_plan(config).cells
    plans = plan_cells(config, cells, {name: t.capabilities() for name, t in targets.items()})
    engine = Engine(
        plans,
        store=store,
        models=models,
        compiler=compiler,
        targets=targets,
        reference=ToldReference(told, kept),
        reference_samples=5,
    )
    return engine, cells


def test_each_product_is_obtained_once_and_in_order(
    config: BenchConfig, tmp_path: Path, engine_of: MakeEngine
) -> None:
    told = Told()
    engine, cells = engine_of(config, tmp_path / "cache", told, ToldSimulator(told))
    records = {cell.id: engine.record(cell) for cell in cells for _ in range(2)}
    assert len(records) == 4
    assert told.steps == [
        "model one",
        "test set",
        "compile one-base-u55_32-shared_sram",
        "measure one-base-u55_32-shared_sram-sim",
        "reference",
        "compile one-base-u55_64-shared_sram",
        # Its reference is that of the first cell: the same model and inputs.
        "measure one-base-u55_64-shared_sram-sim",
    ]
    # In another process everything is there.
    told = Told()
    engine, _ = engine_of(config, tmp_path / "cache", told, ToldSimulator(told))
    assert {cell.id: engine.record(cell) for cell in cells} == records
    assert not [step for step in told.steps if step.startswith("measure")]


def test_a_step_that_failed_is_not_tried_again(
    config: BenchConfig, tmp_path: Path, engine_of: MakeEngine
) -> None:
    (tmp_path / "one.tflite").write_bytes(b"no model")
    told = Told()
    engine, cells = engine_of(config, tmp_path / "cache", told, ToldSimulator(told))
    errors = set()
    for cell in cells:
        with pytest.raises(ModelError, match="not a TFLite model") as caught:
            engine.record(cell)
        errors.add(id(caught.value))
    assert len(errors) == 1
    assert told.steps == ["model one"]


def test_cells_of_a_slow_target_are_measured_together_and_fail_alone(
    config: BenchConfig, tmp_path: Path, engine_of: MakeEngine
) -> None:
    told = Told()
    engine, cells = engine_of(config, tmp_path / "cache", told, Together(told))
    mine = [cell for cell in cells if cell.target == "sim"]
    for _ in range(2):
        for cell in mine:
            if cell.accelerator is Accelerator.U55_32:
                with pytest.raises(TargetError, match="no luck"):
                    engine.record(cell)
            else:
                assert engine.record(cell).measurement.counters["NPU_ACTIVE"] > 0
    assert [step for step in told.steps if "batch" in step] == ["batch of 2"]
    # The next process asks again for what failed, and for nothing else.
    told = Told()
    engine, _ = engine_of(config, tmp_path / "cache", told, Together(told))
    for cell in reversed(mine):
        if cell.accelerator is not Accelerator.U55_32:
            engine.record(cell)
    assert [step for step in told.steps if "batch" in step] == ["batch of 1"]


def test_nothing_is_made_for_a_cell_its_target_lacks(
    config: BenchConfig, tmp_path: Path, engine_of: MakeEngine
) -> None:
    told = Told()
    engine, cells = engine_of(config, tmp_path / "cache", told, Narrow(told))
    lacking = next(c for c in cells if c.target == "sim" and c.accelerator is Accelerator.U55_32)
    with pytest.raises(TargetUnavailableError, match="has no ethos-u55-32"):
        engine.record(lacking)
    assert told.steps == []
    assert not (tmp_path / "cache").exists()


def test_a_bench_trains_and_compiles_nothing_that_its_board_lacks(tmp_path: Path) -> None:
    runner = BenchRunner(tmp_path)
    text = QUICK.replace("macs = [32, 256]", "macs = [32, 64]").replace('["vela"]', '["mps3"]')
    run = runner.run(runner.write_config(text), "-n", "2")
    # The board, of which none is needed to know it, has 128.
    assert "target 'mps3' has no ethos-u55-32" in run.output
    assert set(run.outcomes().values()) == {"skipped"}
    assert len(run.directory.unmeasured().found) == 8
    assert run.work() == []
    assert not run.cache.exists()
