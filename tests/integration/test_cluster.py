"""Benches whose records a cluster makes, on machines that share nothing but a network."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.bench_runs import QUICK, BenchRun, BenchRunner, Judging
from tests.support.clusters import Cluster, cluster_of_three, figures
from tests.support.foreign_readers import by_junitparser
from tests.support.fvp.stand_ins import write_fvp
from tests.support.models.tflite_factory import mlp

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

GRID = """
[grid]
macs = [64, 128]
memory_modes = ["Shared_Sram"]
targets = ["sim", "vela"]

[workloads.net]
model = "net.tflite"
dataset = "data.npz"
metric = { file = "metric.py", function = "right" }
"""

METRIC = """
import os, signal

def right(outputs, labels):
    return float((outputs.argmax(axis=1) == labels).mean())
"""


def write_project(directory: Path) -> None:
    """A model, a data set and a metric: files that workers do not have."""
    directory.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    weights = [generator.integers(-127, 128, (8, 16), dtype=np.int8)]
    (directory / "net.tflite").write_bytes(mlp(weights, softmax=False))
    x = generator.uniform(size=(20, 16)).astype(np.float32)
    np.savez(directory / "data.npz", inputs=x, labels=generator.integers(0, 8, 20))
    (directory / "metric.py").write_text(METRIC, encoding="utf-8")


def bench_alone(directory: Path, grid: str) -> BenchRun:
    write_project(directory)
    runner = BenchRunner(directory)
    return runner.run(runner.write_config(grid), "-n", "2")


def test_local_workers_give_the_records_of_one_machine(tmp_path: Path) -> None:
    alone = bench_alone(tmp_path / "alone", GRID)
    write_project(tmp_path / "client")
    runner = BenchRunner(tmp_path / "client")
    run = runner.run(runner.write_config(GRID), "--bench-cluster=local:2")
    assert run.returncode == alone.returncode == 0, run.output
    assert figures(run) == figures(alone)
    assert run.outcomes() == alone.outcomes()
    assert sorted(run.work()) == sorted(alone.work())


def judgements(run: BenchRun) -> dict[str, list[tuple[object, ...]]]:
    """By cell; the commands that repeat them are those of each run."""
    return {
        name: [(one.metric, one.status, one.measured, one.reason) for one in record.verdicts]
        for name, record in run.records().items()
    }


def test_a_grid_is_judged_by_cells_over_the_records_of_a_cluster(tmp_path: Path) -> None:
    alone = bench_alone(tmp_path / "alone", GRID)
    write_project(tmp_path / "client")
    runner = Judging(tmp_path / "client", "cells", tmp_path / "cache")
    run = runner.run(runner.write_config(GRID), "--bench-cluster=local:2")
    assert run.returncode == 0, run.output
    assert "with the records that the cluster local:2 makes" in run.output
    assert figures(run) == figures(alone)
    assert judgements(run) == judgements(alone)
    ended = {one.nodeid: one.outcome for one in run.directory.outcomes().found}
    assert ended == {one.nodeid: one.outcome for one in alone.directory.outcomes().found}


def test_by_cells_a_cluster_that_is_not_there_fails_every_test(tmp_path: Path) -> None:
    write_project(tmp_path)
    runner = Judging(tmp_path, "cells", tmp_path / "cache")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        run = runner.run(runner.write_config(GRID), f"--bench-cluster={place}")
    # Another try may find it.
    assert run.returncode == 75, run.output
    assert place in run.output
    counts, cases = by_junitparser(run.directory.path / "junit.xml")
    assert counts[1] == len(cases) == len(run.directory.outcomes().found) > 0


@pytest.mark.parametrize("judge", ["tests", "cells"])
def test_a_cluster_and_workers_of_the_run_exclude_each_other(tmp_path: Path, judge: str) -> None:
    write_project(tmp_path)
    runner = Judging(tmp_path, judge, tmp_path / "cache")
    process = runner.start(runner.write_config(GRID), "--bench-cluster=local:2", "-n", "3")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 4
    assert "--bench-cluster and -n exclude each other" in output


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and three workers."""
    directory = tmp_path_factory.mktemp("cluster")
    with cluster_of_three(directory) as made:
        yield made


@pytest.fixture
def client(machines: Cluster, request: pytest.FixtureRequest) -> BenchRunner:
    """A machine that plans and judges, with a cache of its own for each test."""
    directory = machines.client / request.node.name
    write_project(directory)
    return BenchRunner(directory)


@pytest.mark.slow
def test_files_travel_and_products_come_back(machines: Cluster, client: BenchRunner) -> None:
    alone = bench_alone(client.directory / "alone", GRID)
    run = client.run(client.write_config(GRID), f"--bench-cluster={machines.address}")
    assert run.returncode == 0, run.output
    assert figures(run) == figures(alone)
    # What the cluster made is here, too: the same bench alone has nothing to do.
    again = client.run(client.write_config(GRID), "-n", "0")
    assert again.work() == []
    assert figures(again) == figures(run)


@pytest.mark.long
def test_each_variant_is_trained_once_in_the_whole_cluster(
    machines: Cluster, client: BenchRunner
) -> None:
    alone = bench_alone(client.directory / "alone", QUICK)
    run = client.run(client.write_config(QUICK), f"--bench-cluster={machines.address}")
    assert run.returncode == alone.returncode, run.output
    assert figures(run) == figures(alone)
    trained = Counter(task for kind, task in run.work() if kind == "train")
    assert trained == dict.fromkeys(
        ("quick-base", "quick-pruned", "quick-clustered", "quick-pruned_clustered"), 1
    )
    # A client whose cache has the variants gives them to workers that have not.
    fresh = [machine.cache for machine in machines.machines if machine.cache.exists()]
    assert len(fresh) == 3


RECIPE = """
import numpy as np
import tensorflow as tf
from helper import SIZE

def model():
    return tf.keras.Sequential([
        tf.keras.layers.Input((SIZE,)),
        tf.keras.layers.Dense(16, activation="relu"),
        tf.keras.layers.Dense(4),
    ])

def data():
    table = np.load(__import__("pathlib").Path(__file__).parent / "table.npy")
    x, y = table[:, :SIZE].astype("float32"), table[:, SIZE].astype("int64")
    return {"train": (x[:200], y[:200]), "test": (x[200:], y[200:])}
"""

OWN = """
[grid]
macs = [64]
memory_modes = ["Shared_Sram"]
targets = ["vela"]

[workloads.own]
recipe = "recipes/own.py"

[workloads.own.variants]
base = { method = "train", epochs = 1 }
"""


@pytest.mark.slow
def test_a_recipe_and_its_data_travel(machines: Cluster, client: BenchRunner) -> None:
    recipes = client.directory / "recipes"
    recipes.mkdir()
    (recipes / "own.py").write_text(RECIPE, encoding="utf-8")
    (recipes / "helper.py").write_text("SIZE = 8\n", encoding="utf-8")
    generator = np.random.default_rng(2)
    table = np.hstack([generator.normal(size=(260, 8)), generator.integers(0, 4, (260, 1))])
    np.save(recipes / "table.npy", table)
    run = client.run(client.write_config(OWN), f"--bench-cluster={machines.address}")
    assert run.returncode == 0, run.output
    (record,) = run.records().values()
    assert record.accuracy is not None


@pytest.mark.long
def test_cells_of_an_fvp_are_measured_where_its_seats_are(
    machines: Cluster, client: BenchRunner, tmp_path: Path
) -> None:
    # Two machines may start it, and only one of them has seats.
    fvp = write_fvp(tmp_path / "lab")
    grid = GRID.replace('"sim", "vela"', '"sim", "fvp"').replace("64, 128", "64, 256")
    grid += f'\n[targets.fvp]\nexecutable = "{fvp}"\n'
    bare = client.run(client.write_config(grid), f"--bench-cluster={machines.address}")
    assert bare.returncode == 0, bare.output
    assert {name for name in bare.records() if name.endswith("-fvp")} == set()
    assert len(bare.directory.unmeasured().found) == 2
    assert "no worker of the cluster has a seat for target 'fvp'" in bare.output

    lab = machines.start_worker("--processes", "0", "--seats", "fvp=2")
    machines.started(lab)
    run = client.run(client.write_config(grid), f"--bench-cluster={machines.address}")
    assert run.returncode == 0, run.output
    alone = bench_alone(client.directory / "alone", grid)
    assert len(run.records()) == 4
    assert figures(run) == figures(alone)
    os.killpg(lab.process.pid, signal.SIGTERM)
    lab.process.wait(timeout=60)


@pytest.mark.slow
def test_a_worker_of_another_image_is_refused(machines: Cluster, client: BenchRunner) -> None:
    stranger = machines.start_worker(environment={"BENCH_IMAGE": "sha256:other"})
    machines.started(stranger)
    run = client.run(client.write_config(GRID), f"--bench-cluster={machines.address}")
    assert run.returncode == 0, run.output
    assert "is refused: image is sha256:other, not -" in run.output
    assert not (stranger.cache / "v2").exists()
    stranger.kill()
