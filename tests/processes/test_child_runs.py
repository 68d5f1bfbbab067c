"""A run of the bench in a process of its own: what it gives, and what it cannot give."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench.history.child_runs import ChildRuns, cause_between, own_root
from bench.plan.metrics import MetricName
from bench.records.figures import Absent, Number
from tests.support.models.tflite_factory import mlp

CELL = "net-base-u55_64-shared_sram-vela"
CONFIG = """
[grid]
macs = [64]
memory_modes = ["Shared_Sram"]
targets = ["vela"]
[workloads]
net = "net.tflite"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    weights = rng.integers(-127, 128, (10, 40)).astype(np.int8)
    (tmp_path / "net.tflite").write_bytes(mlp([weights]))
    path = tmp_path / "bench.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def runs(directory: Path, metric: MetricName, seconds: float = 300) -> ChildRuns:
    return ChildRuns(
        metric=metric,
        directory=directory / "runs",
        cache=directory / "cache",
        seconds=seconds,
        environment=dict(os.environ),
    )


def reason(config: Path, measuring: ChildRuns, cell: str = CELL, root: Path | None = None) -> str:
    found = measuring.measure(cell, root or own_root(), config, "a")
    assert isinstance(found.figure, Absent)
    assert "Traceback" not in found.figure.reason
    return found.figure.reason


def test_a_figure_is_measured_and_its_run_is_kept(config: Path, tmp_path: Path) -> None:
    measuring = runs(tmp_path, MetricName.DEVICE_MODEL)
    found = measuring.measure(CELL, own_root(), config, "a")
    assert isinstance(found.figure, Number), found
    assert found.figure.value > 0
    run = measuring.directory / found.run
    assert (run / "cells" / f"{CELL}.json").is_file()
    assert cause_between(run, run) == cause_between(run, tmp_path / "gone") == ""


def test_what_has_no_figure_says_why(config: Path, tmp_path: Path) -> None:
    axi = runs(tmp_path, MetricName.ACTIVE_SHARE)
    assert "NPU_IDLE" in reason(config, axi)
    sizes = runs(tmp_path, MetricName.DEVICE_MODEL)
    assert "not found" in reason(config, sizes, "net-base-u55_128-shared_sram-vela")
    assert reason(tmp_path / "other.toml", sizes) == "it has no other.toml"
    assert "its bench has no tests/regression" in reason(config, sizes, root=tmp_path)
    slow = runs(tmp_path, MetricName.DEVICE_MODEL, seconds=0.05)
    assert "did not end within" in reason(config, slow)
    (tmp_path / "net.tflite").write_bytes(b"no model")
    # Without the directory, which is a temporary one.
    assert "net.tflite" in reason(config, sizes)
    assert str(tmp_path) not in reason(config, sizes)
    config.write_text("[gird]", encoding="utf-8")
    assert "unknown key 'gird'" in reason(config, sizes)
