"""What a process knows about the run: set up once by the controller, sent to the workers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.assembly.own_shard import SetupShard
from bench.cache import ArtefactCache, RemoteCache, open_store
from bench.core.fingerprint import SourceTree
from bench.core.logging import log_to_file, log_to_lines
from bench.judging.policy import Policy
from bench.judging.suites import MAIN_JOB
from bench.measuring.compilation import Compiler, VelaInstallations, Velas
from bench.measuring.engine import Engine
from bench.measuring.planning import Lack, plan_cells
from bench.measuring.preparation import VariantSource
from bench.measuring.products import ProductStore
from bench.measuring.progress import Sink, device_progress, noting
from bench.measuring.recipes import SurveyedRecipe
from bench.measuring.reference import CachedReference
from bench.measuring.sources import ModelSource
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig, timing_of
from bench.plan.grid import Plan, make_plan
from bench.plan.shards import restricted
from bench.records.record import Status
from bench.records.run import RunManifest, Surroundings
from bench.records.run_directory import RunDirectory, worker_name
from bench.tflite.reference import ReferenceRunner
from models.data import DataSource
from models.service import VariantBuilder
from targets.protocol import Capabilities, Target
from targets.registry import TARGETS, TargetContext

__all__ = [
    "BenchSession",
    "RunSetup",
    "SetupShard",
    "Tools",
    "abilities",
    "assembled",
    "open_tools",
    "remote_of",
]


@dataclass(frozen=True)
class RunSetup:
    """Everything that must be the same in every process of one run."""

    config: BenchConfig
    config_path: Path
    #: Command-line arguments that a reproduce-command has to repeat.
    extra_arguments: tuple[str, ...]
    targets: tuple[str, ...]
    #: The versions of Vela, as cells have them.
    velas: tuple[str, ...]
    data: DataSource
    cache_root: Path
    run_path: Path
    #: The hash of the configuration as it was read.
    config_sha256: str
    #: Our own code as it was when the run began.
    code: SourceTree
    #: The files that the configuration names -> the sha256 of what was checked.
    inputs: Mapping[Path, str]
    #: The address of a remote cache, perhaps with secrets; empty for none.
    remote_cache: str = ""
    #: The users' recipes among the planned workloads, by workload; see `with_recipes`.
    recipes: Mapping[str, SurveyedRecipe] = field(default_factory=dict)
    #: Key of the configuration -> its line.
    config_lines: Mapping[str, int] = field(default_factory=dict)
    #: Targets that are not available here -> what is missing, and the cure.
    unavailable: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    #: The statuses that make the run fail.
    failing: frozenset[Status] = Policy.at_a_desk().failing
    #: What starts the main job.
    program: tuple[str, ...] = MAIN_JOB
    #: None for a run of the whole grid.
    shard: SetupShard | None = None

    @property
    def is_empty_shard(self) -> bool:
        """Whether the run is a shard without a cell, as there are more shards than parts."""
        return self.shard is not None and not self.shard.cells

    def grid(self) -> Plan:
        """The cells and groups of all shards."""
        return make_plan(self.config, self.targets, self.velas)

    def plan(self) -> Plan:
        """The cells and groups of the run."""
        whole = self.grid()
        return whole if self.shard is None else restricted(whole, self.shard.cells)

    def vela_installations(self, sink: Sink) -> VelaInstallations:
        """The installed versions of Vela."""
        cache = ArtefactCache(self.cache_root)
        return VelaInstallations(cache, self.config.vela.locks, sink)

    def manifest(self, surroundings: Surroundings) -> RunManifest:
        """The manifest of this run, started now."""
        return RunManifest.now(
            config_path=self.config_path,
            config_sha256=self.config_sha256,
            data=self.data.name,
            cells=self.plan().cells,
            config_lines=self.config_lines,
            timing=dict(timing_of(self.config, cell) for cell in self.plan().cells),
            surroundings=surroundings,
            shard=None if self.shard is None else self.shard.note(self.grid()),
        )

    def to_json(self) -> str:
        """For xdist, which sends only plain values to workers."""
        return json.dumps(
            {
                "config": self.config.model_dump(mode="json"),
                "config_path": str(self.config_path),
                "extra_arguments": list(self.extra_arguments),
                "targets": list(self.targets),
                "velas": list(self.velas),
                "data": self.data.model_dump(mode="json"),
                "cache_root": str(self.cache_root),
                "remote_cache": self.remote_cache,
                "run_path": str(self.run_path),
                "config_sha256": self.config_sha256,
                "code": self.code.to_data(),
                "inputs": {str(path): sha256 for path, sha256 in self.inputs.items()},
                "recipes": {
                    name: recipe.model_dump(mode="json") for name, recipe in self.recipes.items()
                },
                "config_lines": dict(self.config_lines),
                "unavailable": dict(self.unavailable),
                "failing": sorted(status.value for status in self.failing),
                "program": list(self.program),
                "shard": None if self.shard is None else self.shard.to_data(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> RunSetup:
        """The inverse of `to_json`."""
        document: dict[str, Any] = json.loads(text)
        return cls(
            config=BenchConfig.model_validate(document["config"]),
            config_path=Path(document["config_path"]),
            extra_arguments=tuple(document["extra_arguments"]),
            targets=tuple(document["targets"]),
            velas=tuple(document["velas"]),
            data=DataSource.model_validate(document["data"]),
            cache_root=Path(document["cache_root"]),
            remote_cache=document["remote_cache"],
            run_path=Path(document["run_path"]),
            config_sha256=document["config_sha256"],
            code=SourceTree.from_data(document["code"]),
            inputs={Path(path): sha256 for path, sha256 in document["inputs"].items()},
            recipes={
                name: SurveyedRecipe.model_validate(recipe)
                for name, recipe in document["recipes"].items()
            },
            config_lines=document["config_lines"],
            unavailable={name: (a, b) for name, (a, b) in document["unavailable"].items()},
            failing=frozenset(Status(value) for value in document["failing"]),
            program=tuple(document["program"]),
            shard=None if (own := document["shard"]) is None else SetupShard.from_data(own),
        )


class BenchSession:
    """What every process of a run knows about it: the plan, and where results go."""

    def __init__(self, setup: RunSetup) -> None:
        self.setup = setup
        self.plan = setup.plan()
        self.run = RunDirectory(setup.run_path)


@dataclass(frozen=True)
class Tools:
    """What the engines of one process share: it starts slowly, or is held only once."""

    setup: RunSetup
    store: ProductStore
    builder: VariantBuilder
    models: VariantSource
    compiler: Compiler
    reference: CachedReference
    targets: Mapping[str, Target]

    def engine(self, config: BenchConfig, wanted: Iterable[Cell], repetition: int = 0) -> Engine:
        """An engine for the cells `wanted`, as `config` has them.

        `repetition` tells measurements that are made again from the first, in the cache too.
        """
        able = abilities(self.setup, self.targets)
        return Engine(
            plan_cells(config, wanted, able, repetition),
            store=self.store,
            models=self.models,
            compiler=self.compiler,
            targets=self.targets,
            reference=self.reference,
            reference_samples=config.reference.samples,
        )


@contextmanager
def open_tools(
    setup: RunSetup, run: RunDirectory, sink: Sink, cache: ArtefactCache | None = None
) -> Iterator[Tools]:
    """The tools of this process; ends what it started. `sink` is told what is being done.

    `cache` stands in for the one that `setup` names. Raises `BenchError` if this process has loaded
    other code than the one that set up the run.
    """
    setup.code.require_unchanged(*setup.code.modules)
    if cache is None:
        cache = ArtefactCache(setup.cache_root, remote=remote_of(setup.remote_cache))
    with ExitStack() as stack:
        # First, and so closed last.
        stack.enter_context(log_to_file(run.log(worker_name())))
        stack.enter_context(log_to_lines(noting(sink)))
        yield assembled(setup, ProductStore(cache, setup.code, sink), run.logs, sink, stack)


def assembled(
    setup: RunSetup, store: ProductStore, logs: Path, sink: Sink, stack: ExitStack
) -> Tools:
    """The tools over `store`; `stack` ends what they start, which is nothing before it is used."""
    reference = CachedReference(ReferenceRunner(setup.config.reference.bounds), store)
    context = TargetContext(
        reference=reference,
        settings=setup.config.targets,
        logs=logs,
        progress=device_progress(sink),
    )
    targets = {name: TARGETS[name].make(context) for name in setup.targets}
    for target in targets.values():
        stack.callback(target.close)
    builder = stack.enter_context(VariantBuilder(bounds=setup.config.training.bounds))
    models = ModelSource(store=store, builder=builder, data=setup.data, recipes=setup.recipes)
    velas = stack.enter_context(Velas(setup.vela_installations(sink)))
    return Tools(
        setup=setup,
        store=store,
        builder=builder,
        models=models,
        compiler=Compiler(store=store, velas=velas, bounds=setup.config.vela.bounds),
        reference=reference,
        targets=targets,
    )


def remote_of(address: str) -> RemoteCache | None:
    """What the artefact cache asks for what it has not got; an empty address is none."""
    if not address:
        return None
    store = open_store(address)
    return RemoteCache(store, store.name)


def abilities(setup: RunSetup, targets: Mapping[str, Target]) -> dict[str, Capabilities | Lack]:
    """What each target can do, or why it is not available."""
    return {
        name: Lack(*setup.unavailable[name]) if name in setup.unavailable else target.capabilities()
        for name, target in targets.items()
    }
