"""What a pytest process knows of the run: set up once by the controller, handed to the workers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cache import ArtefactCache
from bench.compiler import VelaServer
from bench.core.errors import TargetUnavailableError
from bench.core.logging import log_to_file, log_to_lines
from bench.judging.judge import Judge
from bench.judging.suites import reproduce_command
from bench.measuring.engine import Engine
from bench.measuring.progress import append_to, device_progress, noting
from bench.measuring.reference import cached_reference
from bench.measuring.sources import ModelSource
from bench.plan.cell import Cell
from bench.plan.config import BenchConfig, fingerprint
from bench.plan.grid import Plan, make_plan
from bench.records.record import Record
from bench.records.run_directory import RunDirectory, RunManifest
from models.data import DataSource
from models.service import VariantBuilder
from targets.registry import TARGETS, TargetContext

__all__ = ["BenchSession", "RunSetup"]


@dataclass(frozen=True)
class RunSetup:
    """Everything that must be the same in every process of one run."""

    config: BenchConfig
    config_path: Path
    #: Command-line arguments that a reproduce-command has to repeat.
    extra_arguments: tuple[str, ...]
    targets: tuple[str, ...]
    data: DataSource
    cache_root: Path
    run_path: Path
    #: Key of the configuration -> its line.
    config_lines: Mapping[str, int] = field(default_factory=dict)
    #: Targets that cannot be had here -> what is missing, and the cure.
    unavailable: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def plan(self) -> Plan:
        """The cells and groups of the run."""
        return make_plan(self.config, self.targets)

    def manifest(self) -> RunManifest:
        """The manifest of this run, started now."""
        return RunManifest.now(
            config_path=self.config_path,
            config_sha256=fingerprint(self.config),
            data=self.data.name,
            cells=self.plan().cells,
            config_lines=self.config_lines,
        )

    def to_json(self) -> str:
        """For xdist, which hands workers plain values only."""
        return json.dumps(
            {
                "config": self.config.model_dump(mode="json"),
                "config_path": str(self.config_path),
                "extra_arguments": list(self.extra_arguments),
                "targets": list(self.targets),
                "data": self.data.model_dump(mode="json"),
                "cache_root": str(self.cache_root),
                "run_path": str(self.run_path),
                "config_lines": dict(self.config_lines),
                "unavailable": dict(self.unavailable),
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
            data=DataSource.model_validate(document["data"]),
            cache_root=Path(document["cache_root"]),
            run_path=Path(document["run_path"]),
            config_lines=document["config_lines"],
            unavailable={name: (a, b) for name, (a, b) in document["unavailable"].items()},
        )


def _process_name() -> str:
    """What xdist calls this process; `main` where there are no workers."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


class BenchSession:
    """The run inside one pytest process. The engine starts when a cell is first asked for."""

    def __init__(self, setup: RunSetup) -> None:
        self.setup = setup
        self.plan = setup.plan()
        self.run = RunDirectory(setup.run_path)
        #: The cells of the tests that were chosen, for targets that are given them together.
        self.wanted: tuple[Cell, ...] = ()
        self._open = ExitStack()
        self._judge: Judge | None = None

    @property
    def judge(self) -> Judge:
        """The judge of this run."""
        if self._judge is None:
            self._judge = self._make_judge()
        return self._judge

    def _make_judge(self) -> Judge:
        setup = self.setup
        # First, and so closed last.
        self._open.enter_context(log_to_file(self.run.log(_process_name())))
        sink = append_to(self.run.progress)
        self._open.enter_context(log_to_lines(noting(sink)))
        cache = ArtefactCache(setup.cache_root)
        builder = self._open.enter_context(VariantBuilder())
        source = ModelSource(setup.config, cache=cache, builder=builder, data=setup.data, sink=sink)
        reference = cached_reference(cache, sink)
        context = TargetContext(
            reference=reference,
            settings=setup.config.targets,
            logs=self.run.logs,
            progress=device_progress(sink),
        )
        targets = {name: TARGETS[name].make(context) for name in setup.targets}
        for target in targets.values():
            self._open.callback(target.close)
        engine = Engine(
            setup.config,
            cache=cache,
            source=source,
            targets=targets,
            reference=reference,
            vela=self._open.enter_context(VelaServer()),
            sink=sink,
            wanted=self.wanted,
        )

        def measure(cell: Cell) -> Record:
            if cell.target in setup.unavailable:
                what, cure = setup.unavailable[cell.target]
                raise TargetUnavailableError(what, cure=cure)
            return engine.record(cell)

        def reproduce(metric: str, subject: str) -> str:
            return reproduce_command(metric, subject, setup.extra_arguments)

        return Judge(setup.config, measure, self.run, reproduce)

    def close(self) -> None:
        """Stop what the engine started: the variant builder, the targets."""
        self._open.close()
