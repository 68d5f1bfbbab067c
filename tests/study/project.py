"""A team's project in the study: a configuration, its models and data, and accepted figures."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.core.arrays import Array
from bench.records.record import Status, UnmeasuredRecord, Verdict
from tests.study.networks import Design, base, inputs_and_labels
from tests.support.bench_runs import BenchRun, BenchRunner

__all__ = ["FILES", "TRAINED", "Alarm", "Outcome", "Project"]

#: A team that brings model files.
FILES = """# The files of a team.
[grid]
macs = [32, 128]
memory_modes = ["Shared_Sram"]
timing_profiles = ["mine"]
targets = ["sim"]

[vela]
optimise = "Performance"

[timing.mine.sram]
maxr = 8
maxw = 8
rlatency = 32
wlatency = 32
pulse_on = 3999
pulse_off = 1
bwcap = 4000

[timing.mine.ext]
maxr = 8
maxw = 0
rlatency = 64
wlatency = 0
pulse_on = 320
pulse_off = 80
bwcap = 50

[workloads.net]
model = "net.tflite"
dataset = "net.npz"
"""

#: A team that trains: every way to compress, in a short training.
TRAINED = """# The study, shortened.
[grid]
macs = [32, 256]
memory_modes = ["Shared_Sram"]
targets = ["sim"]

[data]
mnist = "subset"

[baselines]
tolerances = [{ metrics = ["accuracy"], absolute = 0.03 }]

[workloads.fc]
recipe = "mnist_fc"
seed = 1

[workloads.fc.quantise]
per_channel_dense = false

[workloads.fc.variants.base]
method = "train"
epochs = 2
batch_size = 32
learning_rate = 1e-3

[workloads.fc.variants.pruned]
method = "prune"
parent = "base"
final_sparsity = 0.80
epochs = 1
batch_size = 128

[workloads.fc.variants.clustered]
method = "cluster"
parent = "base"
clusters = 32
epochs = 1

[workloads.fc.variants.pruned_clustered]
method = "cluster"
parent = "pruned"
preserve_sparsity = true
clusters = 32
epochs = 1
"""


@dataclass(frozen=True)
class Alarm:
    """A judgement that made a run fail."""

    metric: str
    status: Status
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What the bench said of a project."""

    run: BenchRun
    alarms: tuple[Alarm, ...]
    improved: frozenset[str]

    @property
    def red(self) -> bool:
        return self.run.returncode != 0


@dataclass
class Project:
    """A directory with `bench.toml`, models, data and baselines."""

    directory: Path
    cache: Path
    config: str
    arguments: tuple[str, ...] = ("-n", "0", "--bench-ci")
    environment: dict[str, str] = field(default_factory=dict)
    config_name: str = "bench.toml"

    @classmethod
    def of_files(cls, directory: Path, cache: Path) -> Project:
        """The project that brings model files."""
        directory.mkdir(parents=True)
        project = cls(directory, cache, FILES)
        project.model(base())
        project.data(*inputs_and_labels(base()))
        return project

    @classmethod
    def of_training(cls, directory: Path, cache: Path) -> Project:
        """The project that trains."""
        directory.mkdir(parents=True)
        return cls(directory, cache, TRAINED)

    def copy(self, directory: Path) -> Project:
        """The same project elsewhere, with its baselines."""
        shutil.copytree(self.directory, directory, ignore=shutil.ignore_patterns("results"))
        return Project(directory, self.cache, self.config)

    def model(self, design: Design) -> None:
        """Bring another model."""
        (self.directory / "net.tflite").write_bytes(design.model())

    def data(self, inputs: Array, labels: Array) -> None:
        """Bring another test set."""
        np.savez(self.directory / "net.npz", inputs=inputs, labels=labels)

    @property
    def test_set(self) -> tuple[Array, Array]:
        """Inputs and labels."""
        with np.load(self.directory / "net.npz") as data:
            return data["inputs"], data["labels"]

    def replace(self, before: str, after: str, count: int = 1) -> None:
        """Edit the configuration. Raises ValueError unless `before` is there that often."""
        if self.config.count(before) != count:
            raise ValueError(f"{before!r} is not there {count} times")
        self.config = self.config.replace(before, after)

    def accept(self) -> Outcome:
        """Accept what the bench measures of the project as it is."""
        return self._played("-n", "0", "--bench-update-baselines=the study")

    def play(self) -> Outcome:
        """What the bench says of it."""
        return self._played(*self.arguments)

    def _played(self, *arguments: str) -> Outcome:
        runner = _Runner(self.directory, self.cache, self.environment)
        config = runner.directory / self.config_name
        config.write_bytes(self.config.encode())
        run = runner.run(config, *arguments, timeout=600)
        return Outcome(run, tuple(_alarms(run)), frozenset(_improved(run)))


class _Runner(BenchRunner):
    """A bench of which many use one cache."""

    def __init__(self, directory: Path, cache: Path, more: Mapping[str, str]) -> None:
        super().__init__(directory)
        self.cache = cache
        self._more = more

    def environment(self) -> dict[str, str]:
        plain = {k: v for k, v in os.environ.items() if not re.match("PYTEST_|XDIST|CI$", k)}
        return {k: v for k, v in {**plain, **self._more}.items() if v}


def _verdicts(run: BenchRun) -> Iterator[Verdict | UnmeasuredRecord]:
    directory = run.directory
    for record in directory.records().found:
        yield from record.verdicts
    for sweep in directory.sweeps().found:
        yield from sweep.verdicts
    for order in directory.orders().found:
        yield from order.verdicts
    yield from directory.unmeasured().found


def _alarms(run: BenchRun) -> Iterator[Alarm]:
    for one in _verdicts(run):
        if one.fails:
            metric = one.metric if isinstance(one, Verdict) else "cell"
            yield Alarm(metric, one.status, one.reason)


def _improved(run: BenchRun) -> Iterator[str]:
    for one in _verdicts(run):
        if isinstance(one, Verdict) and one.status is Status.IMPROVED:
            yield one.metric
