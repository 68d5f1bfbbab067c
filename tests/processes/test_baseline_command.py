"""`bench baseline`, run as users run it, on runs of real records."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.records.record import Record
from tests.support.bench_runs import ROOT
from tests.support.sides import record_with, written_run

CONFIG = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]
[workloads]
w = "w.tflite"
"""
CELL = "w-base-u55_128-shared_sram-vela"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A configuration, and a run of one cell on target `vela`, which is not configured."""
    (tmp_path / "bench.toml").write_text(CONFIG, encoding="utf-8")
    written_run(tmp_path / "results" / "first", [record_with()])
    return tmp_path


def bench(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", "baseline", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def slower(cycles: int = 2000) -> Record:
    counters = {**record_with().measurement.counters, "NPU_ACTIVE": cycles}
    return record_with(measurement={"counters": counters})


def test_accept_show_diff(project: Path) -> None:
    done = bench(project, "accept")
    assert done.returncode == 0, done.stderr
    assert f"{CELL}: npu_cycles 1,000 cycles [new]" in done.stdout
    file = project / "baselines" / "vela" / "w.toml"
    assert str(file) in done.stdout
    shown = bench(project, "show", "w-*", "--metric", "npu_cycles")
    assert CELL in shown.stdout
    assert "1,000 cycles  since 20" in shown.stdout
    assert "sram_kib" not in shown.stdout
    same = bench(project, "diff")
    assert same.returncode == 0
    assert "every figure is as in" in same.stdout
    written_run(project / "results" / "second", [slower()])
    other = bench(project, "diff")
    assert other.returncode == 1
    assert "npu_cycles 1,000 cycles -> 2,000 cycles (+100.0%) [worse]" in other.stdout
    between = bench(project, "diff", "results/second", "--against", "results/first")
    assert between.stdout == other.stdout


def test_worse_figures_need_a_reason_and_nothing_is_written_without(project: Path) -> None:
    assert bench(project, "accept").returncode == 0
    written_run(project / "results" / "second", [slower()])
    file = project / "baselines" / "vela" / "w.toml"
    before = file.read_bytes()
    refused = bench(project, "accept")
    assert refused.returncode == 2
    assert "2 figures are worse than before, and no reason is given" in refused.stderr
    assert "--reason" in refused.stderr
    shown = bench(project, "accept", "--dry-run", "--reason", "r")
    assert "[worse]" in shown.stdout
    assert file.read_bytes() == before
    done = bench(project, "accept", "--reason", "Vela 6", "--metric", "npu_cycles")
    assert done.returncode == 0, done.stderr
    text = file.read_text(encoding="utf-8")
    assert 'value = 2000, unit = "cycles"' in text
    assert text.count('"Vela 6"') == 1
    assert "inference_ms = { value = 0.002" in text, "it was not chosen"


def test_prune_keeps_other_targets_and_removes_what_left_the_grid(project: Path) -> None:
    assert bench(project, "accept").returncode == 0
    file = project / "baselines" / "vela" / "w.toml"
    assert bench(project, "prune").stdout.startswith("0 removed")
    text = CONFIG.replace("[128]", "[64]")
    (project / "bench.toml").write_text(text, encoding="utf-8")
    told = bench(project, "prune", "--dry-run")
    assert told.stdout.splitlines()[0] == CELL
    assert file.exists()
    assert "1 removed" in bench(project, "prune").stdout
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("accept", "results/none"), "results/none/run.json: cannot be read"),
        (("accept", "--cell", "x-*"), "has measured no cell that matches 'x-*'"),
        (("accept", "--metric", "npu_cycle"), "did you mean 'npu_cycles'"),
        (("diff", "--against", "nowhere"), "nowhere: is no baselines file"),
        (("show", "x"), "has no accepted figure of 'x'"),
        (("diff", "--against", "git:main"), "git"),
    ],
)
def test_what_is_not_there_is_one_message(
    project: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = bench(project, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
