"""Every run writes its page and names it; a run never fails because of its page."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli.main import commands
from tests.support.bench_runs import ROOT, BenchRunner
from tests.support.models.tflite_factory import mlp

GRID = (
    '[grid]\nmacs = [128]\nmemory_modes = ["Shared_Sram"]\ntargets = ["sim"]\n'
    '[workloads]\nnet = "net.tflite"\n'
)
CELL = "net-base-u55_128-shared_sram-sim"


@pytest.fixture
def runner(tmp_path: Path) -> BenchRunner:
    runner = BenchRunner(tmp_path)
    generator = np.random.default_rng(1)
    weights = [generator.integers(-127, 128, (8, 16), dtype=np.int8)]
    (tmp_path / "net.tflite").write_bytes(mlp(weights, softmax=False))
    return runner


def test_a_run_names_its_page_and_it_can_be_made_again(runner: BenchRunner) -> None:
    run = runner.run(runner.write_config(GRID), "-n", "0")
    assert run.returncode == 0, run.output
    page = run.directory.page
    assert f"bench: page {page}" in run.output
    text = page.read_text(encoding="utf-8")
    assert CELL in text
    assert "Green: 1 test passed, none failed." in text
    again = runner.directory / "again.html"
    told = CliRunner().invoke(
        commands, ["report", str(run.directory.path), "--html", str(again)], catch_exceptions=False
    )
    assert told.exit_code == 0, told.output
    assert again.read_text(encoding="utf-8") == text


def test_a_run_without_a_page_is_as_green_as_it_was(
    runner: BenchRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = runner.directory / "broken"
    (broken / "jinja2").mkdir(parents=True)
    code = "raise ImportError('no template engine')\n"
    (broken / "jinja2" / "__init__.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{broken}{os.pathsep}{ROOT}")
    run = runner.run(runner.write_config(GRID), "-n", "0")
    assert run.returncode == 0, run.output
    assert "the run has no PAGE" in run.output
    assert "no template engine" in run.output
    assert f"bench report {run.directory.path} --html" in run.output
    assert not run.directory.page.exists()
    assert (run.directory.path / "junit.xml").exists()
