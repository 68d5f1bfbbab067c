"""Running the bench as its users do: as a pytest process, from the project's root."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from bench.measuring.progress import Follower
from bench.records.record import Record
from bench.records.run_directory import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_CONFIG = ROOT / "bench.toml"

#: A grid that is small and trains for seconds, yet has every variant: 4 variants x 2 MACs.
QUICK = """
[grid]
macs = [32, 256]
memory_modes = ["Shared_Sram"]
targets = ["vela"]

[data]
mnist = "subset"

[workloads.quick]
recipe = "mnist_fc"
seed = 1
order = ["pruned_clustered", "pruned", "clustered", "base"]
expect_bound = { Shared_Sram = "memory" }

[workloads.quick.variants]
base = { method = "train", epochs = 1, batch_size = 128 }
pruned = { method = "prune", epochs = 1, batch_size = 256 }
clustered = { method = "cluster", clusters = 16, epochs = 1 }

[workloads.quick.variants.pruned_clustered]
method = "cluster"
parent = "pruned"
preserve_sparsity = true
clusters = 16
epochs = 1

[[workloads.quick.limits]]
metric = "accuracy"
min = 0.5

[[workloads.quick.limits]]
metric = "encoded_weights_kib"
max = 110

[[workloads.quick.limits]]
metric = "device_model_kib"
max = 120

[[workloads.quick.limits]]
metric = "npu_cycles"
max = 120_000

[[workloads.quick.limits]]
metric = "axi1_read_beats"
max = 14_000
"""


@dataclass(frozen=True)
class BenchRun:
    """A finished bench."""

    returncode: int
    output: str
    #: By the clock, which whatever else runs on the machine makes longer.
    seconds: float
    #: Of all its processes on all cores.
    cpu_seconds: float
    directory: RunDirectory
    cache: Path

    def tables(self) -> str:
        """What `bench report` prints of it: every table, however many cells there are."""
        done = subprocess.run(
            [sys.executable, "-m", "bench.cli", "report", str(self.directory.path)],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "250"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def records(self) -> dict[str, Record]:
        read = self.directory.records()
        assert not read.unreadable, read.unreadable
        return {r.cell.id: r for r in read.found}

    def record_files(self) -> dict[str, bytes]:
        """Every record, sweep and order of the run, as stored but for where the cache lies.

        That is an option the run was given, so the commands that reproduce its verdicts repeat it.
        """
        root = self.directory.path
        cache = str(self.cache).encode()
        return {
            path.relative_to(root).as_posix(): path.read_bytes().replace(cache, b"CACHE")
            for path in root.glob("*/*.json")
        }

    def work(self) -> list[tuple[str, str]]:
        """Kind and name of everything the run had to make itself, as it told of it."""
        events = Follower(self.directory.progress).new_events()
        return [(e.kind, e.task) for e in events if e.state == "started"]

    def outcomes(self) -> dict[str, str]:
        """Test name -> passed, failed or skipped, from pytest's own JUnit file."""
        tree = ElementTree.parse(self.directory.path / "pytest.xml")
        found = {}
        for case in tree.iter("testcase"):
            children = {child.tag for child in case}
            kinds = children & {"failure", "error", "skipped"}
            found[case.attrib["name"]] = kinds.pop() if kinds else "passed"
        return found


class BenchRunner:
    """Runs benches with a cache and a results directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cache = directory / "cache"
        self.results = directory / "results"

    def write_config(self, text: str, name: str = "bench.toml") -> Path:
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def command(self, config: Path, *arguments: str, results: Path | None = None) -> list[str]:
        return [
            sys.executable,
            "-m",
            "pytest",
            f"--bench-config={config}",
            f"--bench-cache={self.cache}",
            f"--bench-results={results or self.results}",
            *("-p", "no:cacheprovider"),
            # A user's environment has no hypothesis, whose import would double the start-up.
            *("-p", "no:hypothesispytest"),
            *arguments,
        ]

    def environment(self) -> dict[str, str]:
        # A test under xdist must not make the bench it starts believe to be a worker.
        kept = {k: v for k, v in os.environ.items() if not re.match("PYTEST_|XDIST|CI$", k)}
        # Wide enough for every column of the tables.
        return {**kept, "COLUMNS": "200"}

    def start(
        self, config: Path, *arguments: str, results: Path | None = None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(config, *arguments, results=results),
            cwd=ROOT,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, config: Path, *arguments: str, timeout: float = 600) -> BenchRun:
        start, before = time.monotonic(), _children_cpu_seconds()
        process = self.start(config, *arguments)
        output, _ = process.communicate(timeout=timeout)
        seconds, cpu = time.monotonic() - start, _children_cpu_seconds() - before
        # What is the latest run now is not when the next one has begun.
        directory = RunDirectory((self.results / "latest").resolve())
        return BenchRun(process.returncode, output, seconds, cpu, directory, self.cache)


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Judging(BenchRunner):
    """`bench run --judge tests` or `cells`."""

    def __init__(self, directory: Path, judge: str, cache: Path) -> None:
        super().__init__(directory)
        self.judge = judge
        self.cache = cache
        # Each way has a history of its own.
        self.results = directory / f"results-{judge}"

    def command(self, config: Path, *arguments: str, results: Path | None = None) -> list[str]:
        python, _, _, *options = super().command(config, *arguments, results=results)
        return [python, "-m", "bench.cli", "run", "--judge", self.judge, *options]
