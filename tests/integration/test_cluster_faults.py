"""What a cluster does when a part of it dies: each cell has one outcome, and nothing is left.

`make cluster-faults` repeats these with ROUNDS=10; here one round is played.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.records.run_directory import RunDirectory
from tests.support.bench_runs import BenchRunner
from tests.support.clusters import Cluster, Machine, cluster_of_three, is_worker, wait_until
from tests.support.models.tflite_factory import mlp

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("BENCH_CLUSTER_ROUNDS", "1"))

GRID = """
[grid]
macs = [32, 64, 128, 256]
memory_modes = ["Shared_Sram", "Sram_Only"]
targets = ["sim", "vela"]

[workloads.net]
model = "net.tflite"
dataset = "data.npz"
metric = { file = "metric.py", function = "METRIC" }
"""
CELLS = 16

METRICS = """
import os, signal, time
import psutil

def slow(outputs, labels):
    time.sleep(1)
    return 1.0

def slower(outputs, labels):
    # Longer than what happens meanwhile, also on a busy machine.
    time.sleep(5)
    return 1.0

def deadly(outputs, labels):
    for process in psutil.Process().parents():
        if "multiprocessing.spawn" in " ".join(process.cmdline()):
            process.kill()
            time.sleep(60)
    return 1.0
"""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("faults")
    with cluster_of_three(directory) as made:
        yield made


@pytest.fixture
def client(machines: Cluster, tmp_path: Path) -> BenchRunner:
    directory = machines.client / tmp_path.name
    directory.mkdir()
    # A model that no worker has measured for another test, so that there is work to be seen.
    generator = np.random.default_rng(zlib.crc32(tmp_path.name.encode()))
    weights = [generator.integers(-127, 128, (8, 16), dtype=np.int8)]
    (directory / "net.tflite").write_bytes(mlp(weights, softmax=False))
    inputs = generator.uniform(size=(20, 16)).astype(np.float32)
    np.savez(directory / "data.npz", inputs=inputs, labels=generator.integers(0, 8, 20))
    (directory / "metric.py").write_text(METRICS, encoding="utf-8")
    return BenchRunner(directory)


def start(client: BenchRunner, machines: Cluster, metric: str = "slow") -> subprocess.Popen[str]:
    config = client.write_config(GRID.replace("METRIC", metric))
    return client.start(config, f"--bench-cluster={machines.address}")


def is_measuring(client: BenchRunner) -> bool:
    progress = client.results / "latest" / "progress.jsonl"
    return progress.exists() and '"measure"' in progress.read_text("utf-8")


def wait_until_measuring(
    machines: Cluster, client: BenchRunner, run: subprocess.Popen[str]
) -> None:
    def begun() -> bool:
        return is_measuring(client) or run.poll() is not None

    wait_until("measuring", begun, told=lambda: told(machines))
    assert run.poll() is None, "the run was over before anything could happen to it"


def outcomes(client: BenchRunner) -> tuple[set[str], set[str]]:
    """The cells with a record, and those without. None is both."""
    run = RunDirectory((client.results / "latest").resolve())
    measured = {path.stem for path in (run.path / "cells").glob("*.json")}
    unmeasured = {path.stem for path in (run.path / "unmeasured").glob("*.json")}
    assert not measured & unmeasured
    assert len(measured | unmeasured) == CELLS
    return measured, unmeasured


def workers(machines: Cluster) -> list[psutil.Process]:
    return [process for machine in machines.machines for process in machine.workers()]


def helpers(machines: Cluster) -> list[str]:
    """Processes that do a run's work for a worker: Vela, interpreters, builders, metrics."""
    found = []
    for worker in workers(machines):
        with suppress(psutil.Error):
            for child in worker.children(recursive=True):
                if not is_worker(child) and "resource_tracker" not in " ".join(child.cmdline()):
                    found.append(" ".join(child.cmdline())[:120])
    return found


def told(machines: Cluster) -> str:
    """For a test that fails."""
    logs = "".join(f"\n{machine.name}:\n{machine.log[-2000:]}" for machine in machines.machines)
    return "\n".join(helpers(machines)) + logs


@pytest.mark.parametrize("number", range(ROUNDS))
def test_workers_killed_at_random_moments_cost_no_cell(
    machines: Cluster, client: BenchRunner, number: int
) -> None:
    run = start(client, machines)
    wait_until_measuring(machines, client, run)
    moments = random.Random(number + 1)
    for _ in range(2):
        time.sleep(moments.uniform(0, 2))
        alive = workers(machines)
        if alive:
            with suppress(psutil.NoSuchProcess):
                moments.choice(alive).kill()
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    measured, unmeasured = outcomes(client)
    assert not unmeasured
    assert len(measured) == CELLS


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGINT, id="ctrl-c", marks=pytest.mark.long),
    ],
)
def test_an_ended_client_leaves_no_work_behind(
    machines: Cluster, client: BenchRunner, number: int, how: signal.Signals
) -> None:
    run = start(client, machines, "slower")
    wait_until_measuring(machines, client, run)
    time.sleep(random.Random(number).uniform(0, 2))
    run.send_signal(how)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == (-9 if how is signal.SIGKILL else 2), output
    wait_until("the end of all work", lambda: not helpers(machines), 90, lambda: told(machines))
    # The cluster works for the next one.
    again = start(client, machines)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert not outcomes(client)[1]


def test_cells_that_kill_three_workers_are_incomplete_with_their_log(
    machines: Cluster, client: BenchRunner
) -> None:
    config = GRID.replace("METRIC", "deadly").replace("32, 64, 128, 256", "64")
    config = config.replace('"Shared_Sram", "Sram_Only"', '"Shared_Sram"').replace(', "vela"', "")
    config += '\n[workloads.harmless]\nmodel = "net.tflite"\n'
    run = client.start(client.write_config(config), f"--bench-cluster={machines.address}")
    output, _ = run.communicate(timeout=400)
    # Nobody judged those cells, so who repeats the run may get a verdict.
    assert run.returncode == 75, output
    directory = RunDirectory((client.results / "latest").resolve())
    assert [path.stem for path in (directory.path / "cells").glob("*.json")] == [
        "harmless-base-u55_64-shared_sram-sim"
    ]
    (lost,) = (directory.path / "unmeasured").glob("*.json")
    text = lost.read_text("utf-8")
    assert '"status": "incomplete"' in text
    assert "3 workers died while they worked on it" in text
    assert "killed by signal" in text


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_network_that_is_gone_for_20_seconds_costs_no_cell(
    machines: Cluster, client: BenchRunner, number: int
) -> None:
    if not machines.isolated:
        pytest.skip("no network namespaces here (they need root and iproute2)")
    run = start(client, machines)
    wait_until_measuring(machines, client, run)
    worker = random.Random(number).choice(machines.machines[1:])
    worker.cut()
    try:
        time.sleep(20)
    finally:
        worker.mend()
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert not outcomes(client)[1]


def test_a_lost_scheduler_ends_the_run_and_its_workers(
    machines: Cluster, client: BenchRunner
) -> None:
    """The last test of this file: the cluster is gone afterwards."""
    run = start(client, machines, "slower")
    wait_until_measuring(machines, client, run)
    scheduler: Machine = machines.machines[0]
    scheduler.kill()
    output, _ = run.communicate(timeout=300)
    # Nobody judged those cells, so who repeats the run may get a verdict.
    assert run.returncode == 75, output
    _, unmeasured = outcomes(client)
    assert unmeasured
    assert "the connection to the cluster's scheduler was lost" in output
    wait_until("the end of the workers", lambda: not machines.left(), 120)
