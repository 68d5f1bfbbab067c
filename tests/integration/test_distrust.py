"""Nonsense in data, names and files costs its own lines of the reports, and no report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.judging.suites import SUITES
from bench.records.run_directory import RunDirectory
from tests.support.bench_runs import ROOT, BenchRun, BenchRunner
from tests.support.foreign_readers import by_junitparser
from tests.support.models.tflite_factory import mlp

CONFIG = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]

[workloads.good]
model = "model.tflite"
dataset = "good.npz"
metric = "mse"

[workloads.huge]
model = "model.tflite"
dataset = "huge.npz"
metric = "mse"
"""
GOOD, HUGE = (f"{name}-base-u55_128-shared_sram-sim" for name in ("good", "huge"))
#: As nobody would name a tensor, and files are found to.
NAME = "out\ufffe\x1b[31mput\uffff"


#: A plugin: a disk that spoils a record when the tests are done.
SPOIL = """
from pathlib import Path
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    for path in Path({results!r}).glob("2*/cells/good-*.json"):
        path.write_bytes(path.read_bytes()[:1000])
    return (yield)
"""


def write_inputs(directory: Path, output_name: str = "output") -> None:
    weights = np.random.default_rng(1).integers(-100, 100, (4, 16), dtype=np.int8)
    (directory / "model.tflite").write_bytes(mlp([weights], output_name=output_name))
    for name, label in (("good", 1.0), ("huge", 1e308)):
        labels = np.full((3, 4), label)
        np.savez(directory / f"{name}.npz", inputs=np.ones((3, 16)) / 2, labels=labels)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    runner = BenchRunner(tmp_path_factory.mktemp("distrust"))
    write_inputs(runner.directory, NAME)
    return runner.run(runner.write_config(CONFIG), "-n", "2")


def cases(run: BenchRun) -> dict[str, str]:
    """Case -> its kind in the JUnit file, or the type of its error."""
    tree = ElementTree.parse(run.directory.path / "junit.xml")
    found = {}
    for case in tree.iter("testcase"):
        (child,) = [one for one in case if one.tag in ("error", "failure", "skipped", "system-out")]
        found[case.attrib["name"]] = child.attrib.get("type") or child.tag
    return found


def report(directory: RunDirectory) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", "report", str(directory.path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_a_metric_without_a_number_loses_its_cell_and_no_other(run: BenchRun) -> None:
    assert run.returncode == 1
    found = cases(run)
    assert {found[f"{HUGE}:{suite}"] for suite in SUITES} == {"ModelError"}
    assert "error" not in {found[f"{GOOD}:{suite}"] for suite in SUITES}
    assert set(run.records()) == {GOOD}
    assert "mse is inf" in run.output
    passed, failed, skipped = by_junitparser(run.directory.path / "junit.xml")[0]
    assert (failed, passed + skipped) == (len(SUITES), len(SUITES))


def test_a_tensor_of_any_name_is_in_every_report(run: BenchRun) -> None:
    text = (run.directory.path / "cells" / f"{GOOD}.json").read_text(encoding="utf-8")
    names = [layer["name"] for layer in json.loads(text)["compilation"]["report"]["layers"]]
    assert any(r"out\ufffe\x1b[31mput\uffff" in name for name in names)
    assert "\x1b" not in run.output
    for name in ("junit.xml", "pytest.xml"):
        ElementTree.parse(run.directory.path / name)


def test_a_report_of_a_run_with_a_broken_record_says_so_and_has_the_rest(run: BenchRun) -> None:
    path = run.directory.path / "cells" / f"{GOOD}.json"
    sound = path.read_bytes()
    whole = report(run.directory)
    assert whole.returncode == 0
    before = cases(run)
    path.write_bytes(sound.replace(b'"value": ', b'"value": NaN, "was": ', 1))
    broken = report(run.directory)
    path.write_bytes(sound)
    assert broken.returncode == 1
    assert "Traceback" not in broken.stderr
    assert f"cells/{GOOD}.json" in broken.stdout
    assert "NaN is no number" in broken.stdout
    found = cases(run)
    assert found.keys() == before.keys()
    assert {found[f"{GOOD}:{suite}"] for suite in SUITES} == {"UnreadableRecord"}
    assert {found[f"{HUGE}:{suite}"] for suite in SUITES} == {"ModelError"}


def test_a_run_whose_record_is_spoilt_at_its_end_is_red(tmp_path: Path) -> None:
    """All tests were skipped, as no limit is set: without a word of the record that were green.

    A second cell, whose record is sound, makes up for nothing.
    """
    write_inputs(tmp_path)
    runner = BenchRunner(tmp_path)
    alone, _, _ = CONFIG.partition("[workloads.huge]")
    config = runner.write_config(
        alone + alone[alone.index("[workloads.good]") :].replace("good]", "sound]")
    )
    assert runner.run(config, "-n", "0").returncode == 0
    (tmp_path / "spoil.py").write_text(SPOIL.format(results=str(runner.results)), encoding="utf-8")
    environment = runner.environment() | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    runner.environment = lambda: environment  # type: ignore[method-assign]
    run = runner.run(config, "-n", "0", "-p", "spoil")
    assert run.returncode == 75
    assert f"cells/{GOOD}.json" in run.output
    found = cases(run)
    assert {found[f"{GOOD}:{suite}"] for suite in SUITES} == {"UnreadableRecord"}
    sound = GOOD.replace("good", "sound")
    assert {found[f"{sound}:{suite}"] for suite in SUITES} <= {"skipped", "system-out"}


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_labels_that_are_no_numbers_are_refused_before_anything_runs(
    tmp_path: Path, bad: str
) -> None:
    runner = BenchRunner(tmp_path)
    write_inputs(tmp_path)
    labels = np.ones((3, 4))
    labels[2, 1] = float(bad)
    np.savez(tmp_path / "good.npz", inputs=np.ones((3, 16)), labels=labels)
    command = runner.command(runner.write_config(CONFIG), "-n", "0")
    done = subprocess.run(
        command, cwd=ROOT, env=runner.environment(), capture_output=True, text=True
    )
    assert done.returncode == 4
    assert f"labels[2, 1] is {bad}" in done.stdout + done.stderr
    assert "good.npz" in done.stdout + done.stderr
    assert not runner.results.exists()
