"""Two benches with caches of their own, and a store between them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.records.record import Record
from tests.support.bench_runs import ROOT, BenchRun, BenchRunner
from tests.support.http_servers import Store, storing
from tests.support.models.tflite_factory import mlp

pytest.importorskip("aiohttp", reason="the extra `remote` is not installed")

GRID = (
    '[grid]\nmacs = [64, 128]\nmemory_modes = ["Shared_Sram"]\ntargets = ["sim", "vela"]\n'
    '[workloads]\nnet = "net.tflite"\n'
)


@pytest.fixture
def store() -> Iterator[Store]:
    with storing() as server:
        yield server


def bench(directory: Path) -> BenchRunner:
    directory.mkdir()
    runner = BenchRunner(directory)
    generator = np.random.default_rng(1)
    weights = [generator.integers(-127, 128, (8, 16), dtype=np.int8)]
    (directory / "net.tflite").write_bytes(mlp(weights, softmax=False))
    return runner


def figures(run: BenchRun) -> dict[str, Record]:
    """Its records without the verdicts, whose commands name the run's own places."""
    return {
        name: record.model_copy(update={"verdicts": ()}) for name, record in run.records().items()
    }


def test_the_second_machine_makes_nothing(store: Store, tmp_path: Path) -> None:
    first, second = bench(tmp_path / "first"), bench(tmp_path / "second")
    there = first.run(first.write_config(GRID), "-n", "0")
    pushed = subprocess.run(
        [sys.executable, "-m", "bench.cli", "cache", "push"],
        cwd=ROOT,
        env={
            **first.environment(),
            "BENCH_CACHE": str(first.cache),
            "BENCH_CACHE_REMOTE": store.url,
        },
        capture_output=True,
        text=True,
    )
    assert pushed.returncode == 0, pushed.stderr
    assert "sent measurement" in pushed.stdout
    here = second.run(second.write_config(GRID), "-n", "2", f"--bench-cache-remote={store.url}")
    assert here.returncode == there.returncode == 0, here.output
    assert there.work()
    assert here.work() == []
    assert figures(here) == figures(there)


def test_a_bench_without_its_store_is_only_slower_and_says_so_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/cache"
    runner = bench(tmp_path / "alone")
    run = runner.run(runner.write_config(GRID), "-n", "2", f"--bench-cache-remote={address}")
    assert run.returncode == 0, run.output
    assert len(run.records()) == 4
    assert run.output.count("does not answer, so products are made here") == 1


def test_an_address_that_is_none_is_one_message_before_the_run(tmp_path: Path) -> None:
    runner = bench(tmp_path / "wrong")
    run = runner.start(runner.write_config(GRID), "--bench-cache-remote=http://cache.example/x")
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 4
    assert "remote cache: http://cache.example/x: begins with http:" in output
