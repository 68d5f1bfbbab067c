"""Models that an interpreter dies of or does not know: everything else of their cells is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.records.record import Status
from tests.support.bench_runs import BenchRun, BenchRunner
from tests.support.models import deadly

#: Workload -> its model.
MODELS = {
    "aborts": deadly.softmax_of_nothing(),
    "segfaults": deadly.lost_bias(),
    "int64": deadly.most_likely(),
    "gelu": deadly.gelu(),
    "uint8": deadly.unsigned(),
    "conv3d": deadly.convolved_in_space(),
    "loop": deadly.endless(),
}
GRID = """
[grid]
macs = [32, 256]
memory_modes = ["Shared_Sram"]
targets = ["sim"]
"""
LIMITS = """
[workloads.{name}]
model = "{name}.tflite"
random_inputs = 3

[[workloads.{name}.limits]]
metric = "device_model_kib"
max = 100

[[workloads.{name}.limits]]
metric = "encoded_weights_kib"
max = 100

[[workloads.{name}.limits]]
metric = "npu_cycles"
max = 1_000_000

[[workloads.{name}.limits]]
metric = "cpu_operators"
max = 1
"""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> BenchRunner:
    runner = BenchRunner(tmp_path_factory.mktemp("unreferenced"))
    for name, data in MODELS.items():
        (runner.directory / f"{name}.tflite").write_bytes(data)
    return runner


@pytest.fixture(scope="module")
def run(runner: BenchRunner) -> BenchRun:
    config = runner.write_config(GRID + "".join(LIMITS.format(name=name) for name in MODELS))
    return runner.run(config, "-n", "2")


def cell(name: str, macs: int = 32) -> str:
    return f"{name}-base-u55_{macs}-shared_sram-sim"


def test_the_run_ends_with_every_cell_measured_and_no_worker_lost(run: BenchRun) -> None:
    assert run.returncode == 0, run.output[-4000:]
    assert len(run.records()) == 2 * len(MODELS)
    outcomes = run.outcomes()
    assert "failure" not in outcomes.values()
    assert "error" not in outcomes.values()
    for name in MODELS:
        for macs in (32, 256):
            assert outcomes[f"test_npu_cycles[{cell(name, macs)}]"] == "passed"
            assert outcomes[f"test_device_model[{cell(name, macs)}]"] == "passed"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("aborts", "TFLite-Micro ended with SIGABRT on aborts (operator 1, SOFTMAX)"),
        ("segfaults", "TFLite-Micro ended with SIGSEGV on segfaults (operator 0, DEPTHWISE"),
        ("gelu", "LiteRT, not exact: GELU; 0 of 24 elements differ, by at most 0"),
        ("uint8", "LiteRT, not exact: CONV_2D; 0 of 768 elements differ, by at most 0"),
    ],
)
def test_a_reference_that_cannot_judge_says_why(run: BenchRun, name: str, words: str) -> None:
    record = run.records()[cell(name)]
    (verdict,) = (v for v in record.verdicts if v.metric == "reference_mismatches")
    assert verdict.status is Status.UNAVAILABLE
    assert words in verdict.reason
    assert words in run.output
    assert record.measurement.outputs_sha256


def test_a_missing_kernel_that_rounds_nothing_is_litert_s_and_judged(run: BenchRun) -> None:
    record = run.records()[cell("int64")]
    (verdict,) = (v for v in record.verdicts if v.metric == "reference_mismatches")
    assert verdict.status is Status.PASS
    assert record.reference is not None
    assert "with ARG_MAX by ai-edge-litert" in record.reference.interpreter


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("conv3d", "operator 1 (CONV_3D) was left to the CPU and cannot be run: TFLite-Micro"),
        ("loop", "operator 1 (WHILE) runs other parts of the model on the CPU"),
    ],
)
def test_outputs_that_cannot_be_had_are_absent_and_the_npu_is_judged(
    run: BenchRun, name: str, words: str
) -> None:
    record = run.records()[cell(name)]
    assert words in record.measurement.outputs_absent
    assert record.measurement.outputs_sha256 == ""
    assert "outputs" not in record.measurement.provenance
    assert record.reference is None
    assert words in record.reference_absent
    assert record.measurement.counters["NPU_ACTIVE"] > 0
    assert record.measurement.layers
    (verdict,) = (v for v in record.verdicts if v.metric == "reference_mismatches")
    assert verdict.status is Status.UNAVAILABLE
    assert words in verdict.reason


def test_whoever_limits_the_mismatches_is_told_that_there_are_none_to_count(
    run: BenchRun, runner: BenchRunner, tmp_path: Path
) -> None:
    """A configured limit never passes for want of a figure."""
    text = GRID
    for name in ("aborts", "gelu", "conv3d"):
        text += LIMITS.format(name=name)
        text += f'\n[[workloads.{name}.limits]]\nmetric = "reference_mismatches"\nmax = 0\n'
    strict = runner.run(runner.write_config(text, "strict.toml"), "-n", "2")
    assert strict.returncode == 1
    for name in ("aborts", "gelu", "conv3d"):
        assert strict.outcomes()[f"test_reference[{cell(name)}]"] == "failure"
    assert "has lost its figure" in strict.output
    # What killed an interpreter once is not run again, nor is anything else.
    assert not strict.directory.progress.exists()
