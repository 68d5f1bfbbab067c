"""Vela's options in `bench.toml`: they reach Vela, the record and the cache's keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plan.metrics import MetricName
from bench.records.metric_values import metric_value
from bench.records.record import Record
from tests.operators.network import Network
from tests.operators.weighted import conv2d
from tests.support.bench_runs import BenchRunner

GRID = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]

[workloads]
net = { model = "net.tflite", random_inputs = 2 }
"""
CELL = "net-base-u55_128-shared_sram-sim"


@pytest.fixture
def runner(tmp_path: Path) -> BenchRunner:
    network = Network(3)
    value = network.input((1, 48, 48, 8))
    for channels in (24, 24, 8):
        value = conv2d(network, value, channels)
    (tmp_path / "net.tflite").write_bytes(network.serialise([value]))
    return BenchRunner(tmp_path)


def measured(runner: BenchRunner, vela: str = "") -> Record:
    run = runner.run(runner.write_config(f"[vela]\n{vela}\n{GRID}"), "-n", "0")
    assert run.returncode == 0, run.output[-3000:]
    record = run.records()[CELL]
    assert record.reference is not None
    assert record.reference.mismatches == 0
    return record


def sram(record: Record) -> float:
    value = metric_value(record, MetricName.SRAM)
    assert isinstance(value, float)
    return value


def test_a_smaller_arena_is_used_and_costs_cycles(runner: BenchRunner) -> None:
    plain, small = measured(runner), measured(runner, "arena_cache_kib = 48")
    assert sram(small) < 64 < sram(plain)
    assert small.measurement.counters["NPU_ACTIVE"] > plain.measurement.counters["NPU_ACTIVE"]
    command = small.compilation.command
    assert command[command.index("--arena-cache-size") + 1] == "49152"
    assert small.compilation.options.arena_cache_kib == 48
    # The first compile is still in the cache, under its own key.
    assert measured(runner) == plain


def test_other_options_pass_through(runner: BenchRunner) -> None:
    made = measured(
        runner, 'cpu_tensor_alignment = 64\nextra = ["--tensor-allocator", "LinearAlloc"]'
    )
    assert made.compilation.command[-4:] == (
        *("--cpu-tensor-alignment", "64", "--tensor-allocator", "LinearAlloc"),
    )
    assert sram(made) > sram(measured(runner))


def test_the_older_core_is_measured_like_the_other(runner: BenchRunner) -> None:
    plain = measured(runner)
    older = measured(runner, 'extra = ["--debug-force-legacy-core", "--recursion-limit", "2000"]')
    assert older.compilation.command[-3:] == (
        *("--debug-force-legacy-core", "--recursion-limit", "2000"),
    )
    assert older.compilation.sha256 != plain.compilation.sha256
    assert older.measurement.outputs_sha256 == plain.measurement.outputs_sha256
    report = older.compilation.report
    assert (report.cpu_operators, report.npu_operators) == (None, 3)
    # Each is rounded for itself.
    assert abs(sum(layer.op_cycles for layer in report.layers) - report.cycles_total) <= 3
    assert report.macs == plain.compilation.report.macs
    layers = older.measurement.layers
    assert {layer.layer for layer in layers} == {layer.layer for layer in plain.measurement.layers}


@pytest.mark.parametrize(
    ("vela", "said"),
    [
        ('extra = ["--opt=Size"]', "vela.extra: --opt is --optimise, which the bench does not"),
        ('extra = ["--output-dir", "/"]', "vela.extra: --output-dir is --output-dir"),
        ('extra = ["other.tflite"]', "vela.extra: 'other.tflite' is no option"),
        ("cpu_tensor_alignment = 48", "vela.cpu_tensor_alignment: 48 is no power of two"),
        ("arena_cache_kib = 0", "vela.arena_cache_kib"),
    ],
)
def test_what_the_bench_cannot_allow_is_refused_by_its_key(
    runner: BenchRunner, vela: str, said: str
) -> None:
    run = runner.run(runner.write_config(f"[vela]\n{vela}\n{GRID}"), "-n", "0")
    assert run.returncode == 4, run.output
    assert said in run.output


def test_an_option_that_vela_does_not_know_is_told_in_its_words(runner: BenchRunner) -> None:
    config = runner.write_config(f'[vela]\nextra = ["--no-such-thing"]\n{GRID}')
    run = runner.run(config, "-n", "0")
    assert run.returncode == 1
    assert "--no-such-thing" in run.output
