"""`bench calibrate` and `bench freeze`, run as users run them."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.core.text import printable
from bench.plan.config import BenchConfig, TrainedWorkload, load_config
from bench.plan.metrics import MetricName
from tests.support.bench_runs import ROOT, BenchRunner
from tests.support.fvp.stand_ins import as_fvp, write_fvp
from tests.support.models.tflite_factory import mlp

pytestmark = pytest.mark.slow

CONFIG = """# My bench.
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["vela"]

[data]
mnist = "subset"

[workloads.quick]  # one variant
recipe = "mnist_fc"
variants = { base = { method = "train", epochs = 1, batch_size = 500 } }
"""


class Desk:
    """A directory with a configuration, and the command that is run there."""

    def __init__(self, directory: Path, config: str) -> None:
        self.runner = BenchRunner(directory)
        self.config = self.runner.write_config(config)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bench.cli", *arguments, "--config", str(self.config)],
            cwd=ROOT,
            env=self.runner.environment() | {"BENCH_CACHE": str(self.runner.cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def bench(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def read(self) -> BenchConfig:
        return load_config(self.config)


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    directory = Path(tempfile.mkdtemp(prefix="bench-calibrating-"))
    yield Desk(directory, CONFIG)
    shutil.rmtree(directory)


def test_an_interrupted_calibration_ends_its_builder_and_goes_on_later(desk: Desk) -> None:
    process = desk.start("calibrate", "--runs", "3", "--metric", "encoded_weights_kib")
    assert process.stderr is not None
    told = next(line for line in process.stderr if "train quick-base started" in line)
    bench = psutil.Process(process.pid)
    while not bench.children():
        assert process.poll() is None, told
        time.sleep(0.01)
    children = bench.children(recursive=True)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted: 0 of 3 figures are in the cache; the same command goes on" in err
    assert "Traceback" not in out + err
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive

    done = desk.bench("calibrate", "--runs", "3", "--metric", "encoded_weights_kib")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("train quick-base started") == 3
    # Progress is not part of what is printed.
    assert "train" not in done.stdout


def test_a_calibration_is_a_table_a_proposal_and_after_a_look_a_change(desk: Desk) -> None:
    before = desk.config.read_text(encoding="utf-8")
    done = desk.bench("calibrate", "--runs", "3")
    assert done.returncode == 0, done.stderr
    assert "train" not in done.stderr  # all from the cache
    assert max(map(len, done.stdout.split("[[baselines")[0].splitlines())) <= 100
    assert re.search(r"quick-base-u55_128-shared_sram-vela +[\d.]+ +[\d.]+ +", done.stdout)
    assert "Did not vary in any cell: " in done.stdout
    assert "repeat the command with --write" in done.stdout
    assert desk.config.read_text(encoding="utf-8") == before

    output = desk.config.with_name("proposal.toml")
    written = desk.bench("calibrate", "--runs", "3", "--write", "--output", str(output))
    assert written.returncode == 0, written.stderr
    text = desk.config.read_text(encoding="utf-8")
    assert text.startswith(before)
    assert output.read_text(encoding="utf-8") in text
    config = desk.read().baselines
    widths, origin = config.widths(
        MetricName.ENCODED_WEIGHTS, "quick-base-u55_128-shared_sram-vela"
    )
    assert widths.relative > 0
    assert origin.startswith("baselines.tolerances[")
    rule = next(r for r in config.tolerances if r.metrics == (MetricName.ENCODED_WEIGHTS,))
    for fact in ("3 runs each (seeds 0 to 2)", "2.0 degrees of freedom", "t = 31.6", "0.1 %"):
        assert fact in rule.evidence

    again = desk.bench("calibrate", "--runs", "3", "--write", "--false-alarms", "0.05")
    assert again.returncode == 0, again.stderr
    assert len(desk.read().baselines.tolerances) == len(config.tolerances)
    narrower, _ = desk.read().baselines.widths(
        MetricName.ENCODED_WEIGHTS, "quick-base-u55_128-shared_sram-vela"
    )
    assert narrower.relative < widths.relative


def test_a_frozen_workload_is_measured_without_being_trained(desk: Desk) -> None:
    done = desk.bench("freeze")
    assert done.returncode == 0, done.stderr
    workload = desk.read().workloads["quick"]
    assert isinstance(workload, TrainedWorkload)
    model = workload.frozen["base"]
    assert hashlib.sha256(model.model.read_bytes()).hexdigest() == model.sha256
    assert model.sha256 in done.stdout
    assert "is frozen already" in desk.bench("freeze", "quick").stdout

    # Elsewhere, where nothing was ever trained.
    shutil.rmtree(desk.runner.cache)
    run = desk.runner.run(desk.config, "-k", "device_model", "--no-bench-ci")
    assert run.returncode == 0, run.output
    (record,) = run.records().values()
    assert (record.model.origin, record.model.sha256) == ("frozen", model.sha256)
    assert "train" not in {kind for kind, _ in run.work()}
    told = desk.bench("calibrate", "--runs", "3")
    assert told.returncode == 0, told.stderr
    assert "quick-base on vela: nothing varies" in told.stdout

    model.model.write_bytes(model.model.read_bytes() + b"\0")
    refused = desk.runner.run(desk.config, "-k", "device_model")
    assert refused.returncode == 4
    assert "workloads.quick.frozen.base.sha256" in refused.output
    assert "bench freeze quick" in refused.output


def test_a_model_file_is_measured_again_where_counts_may_vary(tmp_path: Path) -> None:
    text = CONFIG.split("[data]")[0].replace('"vela"', '"fvp", "sim"')
    desk = Desk(tmp_path, text + '[workloads]\nnet = { model = "net.tflite", random_inputs = 2 }\n')
    model = mlp([np.ones((16, 64), np.int8), np.ones((4, 16), np.int8)])
    (tmp_path / "net.tflite").write_bytes(model)
    with as_fvp(write_fvp(tmp_path)):
        done = desk.bench("calibrate", "--runs", "3")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("measure net-base-u55_128-shared_sram-fvp started") == 3
        assert "net-base on sim: nothing varies" in done.stdout
        # The FVP in software always counts the same.
        assert "Nothing varied" in done.stdout
        more = desk.bench("calibrate", "--runs", "4")
        assert more.stderr.count("measure net-base-u55_128-shared_sram-fvp started") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("calibrate", "--cell", "nett-*"), "--cell nett-*: no cell of the grid"),
        (("calibrate", "--metric", "npu_cycle"), "did you mean 'npu_cycles'"),
        (("calibrate", "--false-alarms", "1"), "is no share between 0 and 1"),
        (("freeze", "net"), "'net' is a model file"),
        (("freeze", "--directory", "/elsewhere"), "is not beside the configuration"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    desk = Desk(tmp_path, CONFIG + '\n[workloads]\nnet = "net.tflite"\n')
    (tmp_path / "net.tflite").write_bytes(mlp([np.ones((4, 16), np.int8)]))
    done = desk.bench(*arguments)
    assert done.returncode == 2
    assert said in printable(done.stderr)
    assert "Traceback" not in done.stderr
