"""`bench whatif` as a user runs it: on small networks, on real ones, and beside real training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomlkit
from typer.testing import CliRunner

from bench.cli.main import commands
from bench.core.errors import BenchError
from bench.whatif.answer import WhatIfAnswer
from tests.support.bench_runs import DEFAULT_CONFIG, ROOT, BenchRunner
from tests.support.models.tflite_factory import mlp
from tests.support.models.vela_files import zoo


class Asker:
    """Asks in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-m", "bench.cli", "whatif"),
                *map(str, arguments),
                *("--cache", str(self.directory / "cache")),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def ask(self, *arguments: str | Path) -> WhatIfAnswer:
        done = self.run(*arguments, "--format", "json")
        assert done.returncode == 0, done.stderr
        return WhatIfAnswer.model_validate_json(done.stdout)

    def text(self, *arguments: str | Path) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Asker:
    """With a dense network of 784-128-10, most of whose time goes into reading weights."""
    directory = tmp_path_factory.mktemp("whatif")
    generator = np.random.default_rng(1)

    def normal(*shape: int) -> Any:
        return np.clip(generator.normal(0, 30, shape), -127, 127).astype(np.int8)

    weights = [normal(128, 784), normal(10, 128)]
    (directory / "dense.tflite").write_bytes(mlp(weights))
    return Asker(directory)


def figure(answer: WhatIfAnswer, point: str, name: str, macs: int) -> float:
    [cell] = [each for each in answer.cells if each.point == point and each.macs == macs]
    found = {metric.value: value for metric, value in cell.figures.items()}[name]
    return found.value  # type: ignore[union-attr, return-value]


DENSE = ("--sparsity", "50,80", "--clusters", "32", "--macs", "32,256")


def test_a_dense_network_gains_size_and_time(asker: Asker) -> None:
    answer = asker.ask(asker.directory / "dense.tflite", *DENSE, "--combine")
    points = [each.point for each in answer.points]
    assert points == ["base", "p50", "p80", "c32", "p50_c32", "p80_c32"]
    for macs in (32, 256):
        sizes = [figure(answer, point, "encoded_weights_kib", macs) for point in points]
        assert sizes[0] > sizes[1] > sizes[2]
        assert sizes[3] > sizes[4] > sizes[5]
        assert figure(answer, "p80", "npu_cycles", macs) < figure(
            answer, "base", "npu_cycles", macs
        )
    by_point = {each.point: each for each in answer.points}
    assert by_point["p80"].zeros == pytest.approx(0.8, abs=1e-4)
    assert by_point["p80_c32"].distinct <= 32
    base, pruned = by_point["base"].distance, by_point["p80"].distance
    assert base is not None
    assert pruned is not None
    assert (base.changed, base.largest) == (0, 0)
    assert pruned.changed > 0
    assert {each.memory for each in answer.sweeps if each.point == "base"} == {"flash"}
    [even] = [each for each in answer.break_evens if each.macs == 32 and "dense" in each.layer][:1]
    assert even.below_kib is not None
    assert even.encoded_kib is not None
    assert even.below_kib < even.encoded_kib
    for point in points:
        # The break-even and the measurement of the compressed models agree.
        if figure(answer, point, "encoded_weights_kib", 32) < 0.9 * even.below_kib:
            assert point in even.reached_by


def test_the_text_says_what_was_done_and_what_is_not_known(asker: Asker) -> None:
    text = asker.text(asker.directory / "dense.tflite", *DENSE)
    for part in ("80 % zero", "32 values", "bound by", "Train to know", "cosine", "@256"):
        assert part in text, part
    assert max(map(len, text.splitlines())) <= 90
    markdown = asker.text(asker.directory / "dense.tflite", *DENSE, "--format", "markdown")
    assert "| 80 % zero |" in markdown


def test_the_accuracy_is_that_on_the_data(asker: Asker) -> None:
    generator = np.random.default_rng(2)
    weights = generator.integers(-127, 127, (4, 16), dtype=np.int8)
    model = asker.directory / "classifier.tflite"
    model.write_bytes(mlp([weights], input_scale=1 / 127, input_zero_point=0))
    inputs = generator.uniform(-1, 1, (200, 16)).astype(np.float32)
    labels = (inputs @ weights.T.astype(np.float32)).argmax(axis=1)
    data = asker.directory / "data.npz"
    np.savez(data, inputs=inputs, labels=labels)
    answer = asker.ask(
        model, "--sparsity", "90", "--clusters", "", "--macs", "64", "--dataset", data
    )
    base, pruned = (each.accuracy for each in answer.points)
    assert base is not None
    assert pruned is not None
    assert base.samples == 200
    assert base.value > 0.95 > pruned.value
    assert "top1" in asker.text(
        model, "--sparsity", "90", "--clusters", "", "--macs", "64", "--dataset", data
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "needs a MODEL"),
        (("{model}", "--workload", "x"), "needs a MODEL"),
        (("missing.tflite",), "missing.tflite"),
        (("{model}", "--layer", "dense_7"), "no such layer"),
        (("{model}", "--layer", "x", "--all-layers"), "give one of them"),
        (("{model}", "--sparsity", "100"), "between 0 and 100"),
        (("{model}", "--sparsity", "half"), "no list of numbers"),
        (("{model}", "--clusters", "1"), "from 2 to 256"),
        (("{model}", "--clusters", "2.5"), "from 2 to 256"),
        (("{model}", "--sparsity", "", "--clusters", ""), "nothing to try"),
        (("{model}", "--macs", "100"), "32, 64, 128, 256"),
        (("{model}", "--memory-mode", "Sram"), "Shared_Sram"),
        (("{model}", "--metric", "topp1"), "did you mean 'top1'"),
    ],
)
def test_a_mistake_is_one_sentence(asker: Asker, arguments: tuple[str, ...], said: str) -> None:
    model = str(asker.directory / "dense.tflite")
    words = [one.format(model=model) for one in arguments]
    done = CliRunner().invoke(commands, ["whatif", *words, "--cache", str(asker.directory / "c")])
    assert isinstance(done.exception, BenchError)
    assert said in str(done.exception)


def test_an_error_ends_the_program_without_a_traceback(asker: Asker) -> None:
    done = asker.run("missing.tflite")
    assert done.returncode == 2, done.stdout
    assert "missing.tflite" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_real_network_of_convolutions(asker: Asker) -> None:
    model = zoo() / "kws_ref_model.tflite"
    answer = asker.ask(model, "--sparsity", "80", "--clusters", "", "--macs", "256")
    choices = [layer.choice.value for layer in answer.layers]
    assert choices[0] == "left alone: the first convolution"
    assert "left alone: depthwise" in choices
    assert choices.count("compressed") == 5
    base, pruned = (figure(answer, point, "encoded_weights_kib", 256) for point in ("base", "p80"))
    assert pruned < 0.6 * base


@pytest.mark.slow
def test_the_study_is_predicted(asker: Asker) -> None:
    """Against the accepted figures of the variants that were really trained."""
    text = DEFAULT_CONFIG.read_text(encoding="utf-8")
    config = asker.directory / "bench.toml"
    config.write_text(f'{text}\n[data]\nmnist = "subset"\n', encoding="utf-8")
    figures = (ROOT / "baselines" / "sim" / "mnist_fc.toml").read_text(encoding="utf-8")
    accepted = tomlkit.parse(figures).unwrap()["cells"]
    answer = asker.ask(
        *("--config", config, "--workload", "mnist_fc"),
        *("--sparsity", "80", "--clusters", "32", "--combine", "--macs", "32,256"),
    )
    trained = {"base": "base", "pruned": "p80", "clustered": "c32", "pruned_clustered": "p80_c32"}
    sweeps = {each.point: each for each in answer.sweeps}
    for variant, point in trained.items():
        cell = accepted[f"mnist_fc-{variant}-u55_256-shared_sram-sim"]
        size = cell["encoded_weights_kib"]["value"]
        assert figure(answer, point, "encoded_weights_kib", 256) == pytest.approx(size, rel=0.1)
        assert sweeps[point].binding == "memory"


def test_points_as_variants_of_a_file_are_judged_beside_it(asker: Asker, tmp_path: Path) -> None:
    """They give what `bench whatif` gives, and a limit relative to the file as it is applies."""
    model = asker.directory / "dense.tflite"
    runner = BenchRunner(tmp_path)
    config = runner.write_config(
        f"""
        [grid]
        macs = [128]
        memory_modes = ["Shared_Sram"]
        [workloads.net]
        model = "{model}"
        random_inputs = 2
        [workloads.net.variants]
        sparse = {{ method = "what_if", sparsity = 0.8 }}
        both = {{ method = "what_if", sparsity = 0.8, clusters = 16 }}
        [[workloads.net.limits]]
        metric = "encoded_weights_kib"
        max_ratio_to_base = 0.3
        """
    )
    run = runner.run(config, "-n", "0")
    outcomes = {
        name.split("[")[1].split("-u55")[0]: outcome
        for name, outcome in run.outcomes().items()
        if name.startswith("test_encoded_weights[")
    }
    assert outcomes == {"net-base": "skipped", "net-sparse": "failure", "net-both": "passed"}
    records = {record.cell.variant: record for record in run.records().values()}
    assert records["both"].model.provenance["what_if"] == "80 % zero, 16 values"
    answer = asker.ask(model, "--sparsity=80", "--clusters=16", "--combine", "--macs=128")
    for variant, slug in (("sparse", "p80"), ("both", "p80_c16")):
        kib = records[variant].compilation.report.encoded_weights_bytes / 1024
        assert figure(answer, slug, "encoded_weights_kib", 128) == pytest.approx(kib)
