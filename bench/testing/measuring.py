"""Measurements for somebody's tests: of any model, and of the cells of a `bench.toml`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.assembly.session import RunSetup, Tools, open_tools
from bench.assembly.setup import (
    checked_velas,
    kept_inputs,
    prepare_config,
    require_training_extra,
    surveyed_inputs,
    with_recipes,
)
from bench.assembly.whatif import file_config
from bench.cache import default_remote, default_root
from bench.core.arrays import Array
from bench.core.errors import ConfigError
from bench.core.processes.closing import Closing
from bench.measuring.progress import ignore
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig, GridConfig, load_config
from bench.plan.grid import make_plan
from bench.plan.metrics import AccuracyMetric
from bench.records.run_directory import RunDirectory
from bench.testing.results import Measured

__all__ = ["CellMeasurers", "ModelMeasurer", "planned_cells"]


def planned_cells(config_path: Path) -> tuple[Cell, ...]:
    """The cells of a configuration. Raises `BenchError` if there is none, or it is wrong."""
    return make_plan(load_config(config_path)).cells


class CellMeasurers(Closing):
    """Measures cells of configurations; what they start is kept until the end.

    Use as a context manager. For one thread at a time.
    """

    def __init__(self, scratch: Path) -> None:
        """`scratch` is an existing directory for logs."""
        self._scratch = scratch
        self._open: dict[Path, Tools] = {}
        self._life = ExitStack()

    def close(self) -> None:
        """End what was started. May be called again."""
        self._open.clear()
        self._life.close()

    def measured(self, config_path: Path, cell: Cell) -> Measured:
        """A planned cell of the configuration. Raises `BenchError` if it cannot be measured."""
        tools = self._open.get(config_path)
        if tools is None:
            run = self._scratch / str(len(self._open))
            setup = _ready(load_config(config_path), config_path, run)
            tools = self._life.enter_context(open_tools(setup, RunDirectory(run), ignore))
            self._open[config_path] = tools
        return _measured(tools, cell)


class ModelMeasurer:
    """The fixture `measure`; see `bench.testing.results.Measure`."""

    def __init__(self, scratch: Path) -> None:
        """`scratch` is an existing directory for logs and inputs."""
        self._scratch = scratch
        self._calls = 0

    def __call__(
        self,
        model: str | Path,
        macs: int = 128,
        *,
        memory_mode: str = "Shared_Sram",
        target: str = "sim",
        inputs: Array | tuple[Array, ...] | None = None,
        dataset: str | Path | None = None,
    ) -> Measured:
        """Compile and measure a quantised `.tflite`."""
        if inputs is not None and dataset is not None:
            raise ConfigError("measure: give `inputs` or `dataset`, not both")
        self._calls += 1
        run = self._scratch / f"call_{self._calls}"
        run.mkdir()
        if inputs is not None:
            dataset = _archive(inputs, run)
        path = Path(model).absolute()
        data = None if dataset is None else Path(dataset).absolute()
        config, _ = file_config(path, data, AccuracyMetric.TOP1)
        grid = {"macs": [macs], "memory_modes": [memory_mode], "targets": [target]}
        config = config.model_copy(update={"grid": _grid(grid)})
        setup = _ready(config, path, run)
        with open_tools(setup, RunDirectory(run), ignore) as tools:
            (cell,) = setup.plan().cells
            return _measured(tools, cell)


def _grid(values: dict[str, object]) -> GridConfig:
    try:
        return GridConfig.model_validate(values)
    except ValueError as error:
        raise ConfigError(f"measure: {error}") from error


def _ready(config: BenchConfig, config_path: Path, run: Path) -> RunSetup:
    """Checked like a run of the bench."""
    cache = default_root(os.environ)
    setup = prepare_config(
        config,
        config_path,
        run_path=run,
        cache_root=cache,
        remote_cache=default_remote(os.environ),
    )
    require_training_extra(setup)
    setup = replace(setup, inputs=checked_velas(setup, ignore))
    setup = replace(setup, inputs=surveyed_inputs(setup))
    return with_recipes(replace(setup, config=kept_inputs(setup)), ignore)


def _measured(tools: Tools, cell: Cell) -> Measured:
    engine = tools.engine(tools.setup.config, [cell])
    return Measured(engine.record(cell), engine.outputs(cell))


def _archive(inputs: Array | tuple[Array, ...], directory: Path) -> Path:
    several = isinstance(inputs, tuple)
    arrays = {f"inputs_{i}": each for i, each in enumerate(inputs)} if several else {}
    path = directory / "inputs.npz"
    np.savez(path, **(arrays or {"inputs": np.asarray(inputs)}))
    return path
