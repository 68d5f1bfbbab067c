"""A what-if put together: the compressed models measured like the variants of a workload."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.assembly.session import RunSetup, Tools, open_tools
from bench.assembly.setup import checked_velas, kept_inputs, surveyed_inputs, with_recipes
from bench.core.errors import ConfigError
from bench.core.fingerprint import read_source_tree
from bench.core.schema import suggest
from bench.measuring.engine import Engine
from bench.measuring.progress import Sink
from bench.measuring.user_files import check_user_files
from bench.plan.cell import Cell
from bench.plan.config import (
    BASE_VARIANT,
    BenchConfig,
    GridConfig,
    ModelFileWorkload,
    ReferenceConfig,
    fingerprint,
)
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from bench.tflite.compression.layers import LayerChoice
from bench.tflite.compression.points import UNCHANGED, Clustering, Point
from bench.tflite.model_file import TensorInfo
from bench.whatif.answer import WhatIfAnswer
from bench.whatif.answering import Place, PointFacts, answer_of
from bench.whatif.break_even import break_evens
from bench.whatif.distance import OutputDistance, distance
from bench.whatif.models import PointModels, counted_layers
from models.data import resolve_mnist
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = ["Question", "ask", "file_config", "with_workload"]

#: The target: the only one that says of each layer what binds it.
_TARGET = "sim"
#: How many outputs of each point are compared with the reference interpreter. That checks the
#: compressed file; the compiler and the simulator are tested elsewhere.
_REFERENCE_SAMPLES = 2


@dataclass(frozen=True)
class Question:
    """What is to be found out."""

    #: Only the workload in question is used.
    config: BenchConfig
    #: Where it is from, for messages.
    config_path: Path
    workload: str
    #: The model as it is comes first.
    points: tuple[Point, ...]
    layers: LayerChoice
    clustering: Clustering
    macs: tuple[Accelerator, ...]
    memory_modes: tuple[MemoryMode, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        """The configurations of the NPU."""
        return tuple(Place(mode, macs) for mode in self.memory_modes for macs in self.macs)

    def cell(self, point: Point, place: Place) -> Cell:
        """The cell of a point at a place."""
        grid = self.config.grid
        return Cell(
            self.workload,
            point.slug,
            place.macs,
            place.memory_mode,
            _TARGET,
            grid.system_configs[0],
            grid.timing_profiles[0],
            grid.vela[0],
        )


def file_config(model: Path, dataset: Path | None, metric: str) -> tuple[BenchConfig, str]:
    """A configuration with one workload, the file `model`, and that workload's name.

    Raises `ConfigError` for an unknown `metric`.
    """
    name = re.sub(r"[^a-z0-9_]", "_", model.stem.lower())
    name = name if re.match(r"[a-z]", name) else f"m_{name}"
    try:
        workload = ModelFileWorkload.model_validate(
            {"model": model, "dataset": dataset, "metric": metric}
        )
    except ValueError as error:
        raise ConfigError(f"--metric {metric}: {error}") from error
    return BenchConfig(workloads={name: workload}), name


def with_workload(config: BenchConfig, config_path: Path, name: str) -> BenchConfig:
    """`config` with the grid of the workload `name`. Raises `ConfigError` if there is none."""
    if name not in config.workloads:
        raise ConfigError(
            f"{config_path}: there is no workload {name!r}", cure=suggest(name, [*config.workloads])
        )
    grid = config.grid.model_copy(update={"workloads": (name,), "variants": (BASE_VARIANT,)})
    return config.model_copy(update={"grid": grid})


def ask(
    question: Question, cache_root: Path, sink: Sink, heard: Callable[[Cell], None]
) -> WhatIfAnswer:
    """Measure every point at every place, through the cache.

    `heard` is told of each cell that is there. What was done is kept: after an interruption the
    same question goes on from there. Raises `BenchError` for the first thing that goes wrong.
    """
    with tempfile.TemporaryDirectory(prefix="bench-whatif-") as scratch:
        setup = _setup(question, cache_root, Path(scratch) / "run", sink)
        with open_tools(setup, RunDirectory(setup.run_path), sink) as tools:
            return _answer(replace(question, config=setup.config), tools, heard)


def _setup(question: Question, cache_root: Path, run_path: Path, sink: Sink) -> RunSetup:
    """The setup of a run of one workload, whose files are checked and kept."""
    asked = question.config
    grid: GridConfig = asked.grid.model_copy(
        update={
            "workloads": (question.workload,),
            "macs": question.macs,
            "memory_modes": question.memory_modes,
        }
    )
    samples: ReferenceConfig = asked.reference.model_copy(update={"samples": _REFERENCE_SAMPLES})
    config = asked.model_copy(update={"grid": grid, "reference": samples})
    setup = RunSetup(
        config=config,
        config_path=question.config_path,
        extra_arguments=(),
        targets=(_TARGET,),
        velas=grid.vela[:1],
        data=resolve_mnist(config.data.mnist),
        cache_root=cache_root,
        run_path=run_path,
        config_sha256=fingerprint(config, question.config_path.resolve().parent),
        code=read_source_tree(),
        inputs=check_user_files(config, question.config_path, {question.workload}),
    )
    setup = replace(setup, inputs=checked_velas(setup, sink))
    setup = replace(setup, inputs=surveyed_inputs(setup))
    return with_recipes(replace(setup, config=kept_inputs(setup)), sink)


def _answer(question: Question, tools: Tools, heard: Callable[[Cell], None]) -> WhatIfAnswer:
    models = PointModels(
        store=tools.store,
        source=tools.models,
        points={point.slug: point for point in question.points},
        choice=question.layers,
        clustering=question.clustering,
    )
    workload = question.config.workloads[question.workload]
    base = models.quantised(question.workload, workload, UNCHANGED.slug)
    layers = [chosen for chosen, _ in counted_layers(base.path, question.layers)]
    cells = {
        (point, place): question.cell(point, place)
        for place in question.places
        for point in question.points
    }
    engine = replace(tools, models=models).engine(question.config, cells.values())
    records: dict[tuple[Point, Place], Record] = {}
    for key, cell in cells.items():
        records[key] = engine.record(cell)
        heard(cell)
    facts = []
    first = question.places[0]
    for point in question.points:
        path = models.quantised(question.workload, workload, point.slug).path
        weights = tuple(counted for _, counted in counted_layers(path, question.layers))
        found = _distance(engine, cells[UNCHANGED, first], cells[point, first], base.file.outputs)
        absent = records[point, first].measurement.outputs_absent if found is None else ""
        facts.append(PointFacts(point, weights, found, absent))
    max_size = question.config.targets.sim.max_size
    return answer_of(
        model=_model_name(question),
        layers=layers,
        facts=facts,
        records=records,
        break_evens={
            place: break_evens(engine.job(cells[UNCHANGED, place]), max_size)
            for place in question.places
        },
        sweep=question.config.sweep,
        clustering=question.clustering,
    )


def _model_name(question: Question) -> str:
    workload = question.config.workloads[question.workload]
    if isinstance(workload, ModelFileWorkload) and workload.model is not None:
        return workload.model.name
    return question.workload


def _distance(
    engine: Engine, base: Cell, cell: Cell, tensors: Sequence[TensorInfo]
) -> OutputDistance | None:
    """The distance of the outputs; None if there are none."""
    before, after = engine.outputs(base), engine.outputs(cell)
    if not before or not after:
        return None
    return distance(
        before,
        after,
        [tensor.scales[0] if tensor.scales else 1.0 for tensor in tensors],
        [tensor.zero_points[0] if tensor.zero_points else 0 for tensor in tensors],
    )
