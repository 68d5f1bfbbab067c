"""What is worth knowing and no result: in the run's directory, or on the terminal if asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from bench.cache import ArtefactCache, CacheKey
from bench.cache.layout import MANIFEST
from tests.support.bench_runs import ROOT, BenchRunner
from tests.support.models.tflite_factory import mlp

CONFIG = """
[grid]
macs = [32]
memory_modes = ["Shared_Sram"]
targets = ["vela"]

[workloads]
small = "small.tflite"
"""


def test_each_process_logs_into_the_directory_of_its_run(tmp_path: Path) -> None:
    runner = BenchRunner(tmp_path)
    (tmp_path / "small.tflite").write_bytes(mlp([np.ones((4, 8), np.int8)]))
    config = runner.write_config(CONFIG)
    sound = runner.run(config, "-n", "0")
    assert sound.returncode == 0, sound.output
    # All went as it should, so there is nothing to say.
    assert list(sound.directory.path.glob("logs/*")) == []
    for workers, processes in (("2", {"bench-gw0", "bench-gw1"}), ("0", {"bench-main"})):
        next(runner.cache.glob("v*/entries/compiled/*/*/files/compiled.json")).unlink()
        run = runner.run(config, "-n", workers)
        assert run.returncode == 0, run.output
        logs = list(run.directory.logs.iterdir())
        assert {path.stem for path in logs} <= processes
        lines = [line for path in logs for line in path.read_text("utf-8").splitlines()]
        (line,) = [line for line in lines if "damaged entry" in line]
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ WARNING bench\.cache\.", line)
        assert "compiled.json is missing" in line


def test_verbose_tells_what_the_cache_gives_up(tmp_path: Path) -> None:
    cache = ArtefactCache(tmp_path / "cache")
    entry = cache.get_or_build(
        CacheKey("compiled", {"n": 1}), lambda directory: (directory / "x").touch()
    )
    os.utime(entry.path.parent / MANIFEST, (0, 0))

    def gc(*options: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "bench.cli", *options, "cache", "gc", "--max-age-days=1"],
            cwd=ROOT,
            env={**os.environ, "BENCH_CACHE": str(cache.root)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stderr

    assert f"bench: cache: {entry.path.parent}: removed" in gc("--verbose")
    assert gc() == ""
