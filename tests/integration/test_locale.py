"""Text is UTF-8 whatever the locale: a run and every verb where Python would take ASCII."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.judging.suites import SUITES
from tests.support.bench_runs import ROOT, BenchRun, BenchRunner
from tests.support.models.tflite_factory import mlp

NAME = "Größe_名前"
#: Without these two, Python itself takes UTF-8 in the locale C.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CELL = "mine-base-u55_128-shared_sram-sim"
CONFIG = f"""
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]

[workloads.mine]
title = "{NAME}"
model = "mine.tflite"

[[workloads.mine.limits]]
metric = "npu_cycles"
max = 1
"""


class AsciiRunner(BenchRunner):
    """Runs benches in an ASCII locale."""

    def environment(self) -> dict[str, str]:
        return super().environment() | ASCII


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    runner = AsciiRunner(tmp_path_factory.mktemp("ascii"))
    weights = np.random.default_rng(1).integers(-100, 100, (64, 256), dtype=np.int8)
    (runner.directory / "mine.tflite").write_bytes(mlp([weights], output_name=NAME))
    config = runner.directory / "bench.toml"
    config.write_text(CONFIG, encoding="utf-8")
    return runner.run(config, "-n", "2")


def test_a_run_keeps_the_names_in_its_files(run: BenchRun) -> None:
    assert run.returncode == 1, run.output
    assert "must be at most 1 cycle" in run.output, run.output
    assert "INTERNALERROR" not in run.output
    assert "Traceback" not in run.output
    (record,) = run.records().values()
    assert [layer.name for layer in record.compilation.report.layers] == [NAME]
    for name in ("junit.xml", "pytest.xml"):
        cases = ElementTree.parse(run.directory.path / name).findall(".//testcase")
        assert len(cases) == len(SUITES)
    # What limits the cell is told with the layer's name.
    assert NAME in (run.directory.path / "pytest.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", ["cells", "report", "layers", "disasm", "trace"])
def test_a_verb_shows_what_ascii_lacks_as_escapes(run: BenchRun, verb: str, tmp_path: Path) -> None:
    latest = str(run.directory.path)
    compiled = next(run.cache.glob("v*/entries/compiled/*/*/files/*_vela.tflite"))
    trace = tmp_path / "trace.json"
    arguments = {
        "cells": ("--config", str(run.directory.path.parents[1] / "bench.toml")),
        "report": (latest,),
        "layers": (CELL, "--run", latest),
        "disasm": (str(compiled),),
        "trace": (CELL, "--run", latest, "-o", str(trace)),
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", verb, *arguments[verb]],
        cwd=ROOT,
        env={**os.environ, **ASCII, "BENCH_CACHE": str(run.cache)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).isascii()
    if verb in ("layers", "disasm"):
        assert rb"Gr\xf6\xdfe_\u540d\u524d" in done.stdout


def test_a_file_name_that_ascii_cannot_express_is_one_line(tmp_path: Path) -> None:
    runner = AsciiRunner(tmp_path)
    config = tmp_path / "bench.toml"
    config.write_text(f'[workloads]\nmine = "{NAME}.tflite"\n', encoding="utf-8")
    run = runner.run(config, "-n", "0")
    assert run.returncode == 4
    assert "workloads.mine.model: " in run.output
    assert "file names are ascii in this locale" in run.output
    assert "set LC_ALL=C.UTF-8" in run.output
    assert "Traceback" not in run.output
