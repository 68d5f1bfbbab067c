"""Tolerances through the whole bench: a listed deviation passes, a wrong result never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plan.metrics import MetricName
from bench.plan.tolerance import WIDEST
from bench.records.record import Status, Verdict
from targets.ethos_u55.accelerators import Accelerator
from tests.operators import cases_faulty
from tests.operators.architectures.blocks import leaky, scaled_conv
from tests.operators.hidden_faults import FAULTS, HEADS, hidden
from tests.operators.network import Network
from tests.support.bench_runs import BenchRun, BenchRunner

GRID = '[grid]\nmacs = [128]\nmemory_modes = ["Shared_Sram"]\ntargets = ["sim"]\n'
WHY = "int16 LEAKY_RELU: Vela divides the scales in float32"


def workload(name: str, steps: int | None = None, share: float = 0.0) -> str:
    text = f'[workloads.{name}]\nmodel = "{name}.tflite"\nrandom_inputs = 40\n'
    if steps is not None:
        text += f'[[workloads.{name}.limits]]\nmetric = "reference_mismatches"\n'
        text += f'max_steps = {steps}\nmax_share = {share}\nreason = "{WHY}"\n'
    return text


def judged(run: BenchRun) -> dict[str, Verdict]:
    """The verdict on the mismatches, by workload."""
    return {
        record.cell.workload: verdict
        for record in run.records().values()
        for verdict in record.verdicts
        if verdict.metric == MetricName.REFERENCE.value
    }


def test_a_listed_deviation_passes_within_its_tolerance_only(tmp_path: Path) -> None:
    network = Network(4)
    before = scaled_conv(network, network.input((1, 16, 16, 3), "int16"), 8)
    # 7/16 of the input, nearly: every sixteenth value is a tie, but for float32's rounding.
    model = network.serialise([leaky(network, before, ratio=16 / 7)])
    limits = {"none": None, "fitting": (1, 0.05), "narrow": (1, 0.0001)}
    text = [GRID]
    for name, limit in limits.items():
        (tmp_path / f"{name}.tflite").write_bytes(model)
        text.append(workload(name, *limit or ()))
    runner = BenchRunner(tmp_path)
    config = runner.write_config("\n".join(text))
    run = runner.run(config, "-n", "0", "tests/regression/test_reference.py")
    assert run.returncode == 1, run.output
    found = judged(run)
    assert found["none"].status is found["narrow"].status is Status.FAIL
    assert found["fitting"].status is Status.PASS
    for words in ("by up to 1 step", "1 step in 5 % of each output", WHY, "limits[0]"):
        assert words in found["fitting"].line
    assert WHY in run.output, "a failure says what was tolerated"
    outcomes = run.outcomes()
    assert sorted(outcomes.values()) == ["failure", "failure", "passed"]


@pytest.mark.parametrize("what", ["alone", "hidden"])
def test_a_wrong_compilation_is_red_under_the_widest_tolerance(what: str, tmp_path: Path) -> None:
    if what == "alone":
        models = {
            case.name: case.model()
            for case in cases_faulty.cases()
            if Accelerator.U55_128 in case.fault_on
        }
    else:
        models = {fault.__name__: hidden(fault, HEADS[-1]) for fault in FAULTS}
    text = [GRID]
    for name, model in models.items():
        workload_name = name.replace("/", "_").replace("-", "_")
        (tmp_path / f"{workload_name}.tflite").write_bytes(model)
        text.append(workload(workload_name, WIDEST.steps, WIDEST.share))
    runner = BenchRunner(tmp_path)
    config = runner.write_config("\n".join(text))
    run = runner.run(config, "-n", "0", "tests/regression/test_reference.py")
    assert run.returncode == 1, run.output
    outcomes = run.outcomes()
    assert len(outcomes) == len(models)
    assert set(outcomes.values()) <= {"failure", "error"}, outcomes
