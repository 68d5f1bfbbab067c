"""A bench whose cycles are estimates says how far they could be off, and what supports them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.records.record import Record, Status
from tests.support.bench_runs import BenchRun, BenchRunner
from tests.support.models.tflite_factory import mlp

CONFIG = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram", "Sram_Only"]
targets = ["sim", "vela"]

[workloads.fc]
model = "fc.tflite"
"""
SHARED, ALONE = "fc-base-u55_128-shared_sram-sim", "fc-base-u55_128-sram_only-sim"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> BenchRunner:
    """Small layers with a softmax behind them: what a small operation costs is not known."""
    made = BenchRunner(tmp_path_factory.mktemp("uncertain"))
    generator = np.random.default_rng(3)
    layers = [
        np.clip(np.round(generator.normal(0, 30, s)), -127, 127) for s in ((32, 64), (10, 32))
    ]
    model = mlp([w.astype(np.int8) for w in layers], softmax=True)
    (made.directory / "fc.tflite").write_bytes(model)
    return made


@pytest.fixture(scope="module")
def run(runner: BenchRunner) -> BenchRun:
    made = runner.run(runner.write_config(CONFIG))
    assert made.returncode == 0, made.output[-3000:]
    return made


@pytest.fixture(scope="module")
def records(run: BenchRun) -> dict[str, Record]:
    return run.records()


def test_a_record_says_between_which_counts_its_estimate_could_lie(
    records: dict[str, Record],
) -> None:
    for name, record in records.items():
        measured = record.measurement
        if record.cell.target == "vela":
            assert not measured.uncertainty
            continue
        found, count = measured.uncertainty["NPU_ACTIVE"], measured.counters["NPU_ACTIVE"]
        assert found.low < count < found.high, name


def test_a_record_says_for_what_nothing_was_published(records: dict[str, Record]) -> None:
    assert records[SHARED].measurement.unsupported == ()
    assert records[ALONE].measurement.unsupported == ("Sram_Only",)
    assert "no published figure" not in records[SHARED].measurement.provenance["cycles"]
    told = records[ALONE].measurement.provenance["cycles"]
    assert told.endswith("no published figure supports it for Sram_Only")


def test_the_tables_show_both_beside_the_cycles(run: BenchRun) -> None:
    assert "cyc. could be" in run.output
    assert re.search(r"@128 -\d+\.\d% to \+\d+\.\d%", run.output)
    assert run.output.count("Nobody has published figures for Sram_Only.") == 1, "sim's table alone"


def test_the_page_has_both(run: BenchRun) -> None:
    page = (run.directory.path / "report.html").read_text(encoding="utf-8")
    data = re.search(r'id="run-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert data is not None
    studies = {study["target"]: study for study in json.loads(data[1])["studies"]}
    assert studies["sim"]["unsupported"] == "Nobody has published figures for Sram_Only."
    assert studies["vela"]["unsupported"] == ""
    ours = [row for row in studies["sim"]["rows"] if row["kind"] == "ours"]
    assert all(re.fullmatch(r"-.*% to \+.*%", row["ranges"][0]) for row in ours), ours


def test_a_limit_within_the_range_still_fails_and_says_so(
    runner: BenchRunner, records: dict[str, Record]
) -> None:
    measured = records[SHARED].measurement
    count, found = measured.counters["NPU_ACTIVE"], measured.uncertainty["NPU_ACTIVE"]
    limit = (count + found.low) // 2
    rule = f'\n[[workloads.fc.limits]]\nmetric = "npu_cycles"\nmax = {limit}\n'
    judged = runner.run(runner.write_config(CONFIG + rule))
    assert judged.returncode == 1
    verdict = next(
        v for v in judged.records()[SHARED].verdicts if v.metric == "npu_cycles" and v.limit
    )
    words = (
        f"the limit is within the estimate's uncertainty, {found.low:,} to {found.high:,} cycles"
    )
    assert verdict.status is Status.FAIL
    assert words in verdict.reason
    assert words in junit_text(judged.directory.path / "junit.xml")


def junit_text(path: Path) -> str:
    return "\n".join(part for each in ElementTree.parse(path).iter() if (part := each.text))
