"""Bring your own model: real models through the whole main job."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.core.arrays import Array
from models.zoo import ZooModel, zoo_models
from tests.operators.network import Network
from tests.operators.pointwise import binary
from tests.operators.weighted import fully_connected
from tests.support.bench_runs import BenchRun, BenchRunner
from tests.support.http_servers import file, serving
from tests.support.models.tflite_factory import mlp

ZOO = os.environ.get("BENCH_MODEL_ZOO")
needs_zoo = pytest.mark.skipif(
    ZOO is None, reason="BENCH_MODEL_ZOO is not set: real models not tested (bench zoo fetch)"
)
GRID = '[grid]\nmacs = [32, 256]\nmemory_modes = ["Shared_Sram"]\ntargets = ["vela"]\n'


def held(*, streams: bool) -> list[ZooModel]:
    """The listed models that the zoo holds: those without state, or streams."""
    found = [m for m in zoo_models() if (Path(str(ZOO)) / f"{m.name}.tflite").is_file()]
    return [model for model in found if ("a stream" in model.title) == streams]


@needs_zoo
def test_the_listed_models_are_what_the_zoo_holds() -> None:
    assert len(held(streams=False)) == 5
    for model in [*held(streams=False), *held(streams=True)]:
        assert model.matches(Path(str(ZOO)) / f"{model.name}.tflite"), model.name


def test_addresses_of_the_zoo_name_their_model_and_no_two_are_one() -> None:
    for model in zoo_models():
        assert model.url.startswith("https://")
        assert model.url.endswith(f"/{model.name}.tflite")
        assert model.licence
    for fact in ("name", "url", "sha256"):
        assert len({getattr(model, fact) for model in zoo_models()}) == len(zoo_models())


@pytest.mark.slow
@needs_zoo
def test_real_models_are_measured_and_recorded(tmp_path: Path) -> None:
    runner = BenchRunner(tmp_path)
    models = held(streams=False)
    names = [model.name.lower() for model in models]
    lines = [f'{m.name.lower()} = "{ZOO}/{m.name}.tflite"' for m in models]
    config = runner.write_config(GRID + "[workloads]\n" + "\n".join(lines) + "\n")
    run = runner.run(config, "-n", "auto")
    # No limits are set, so every suite is a counted skip and no cell is missing.
    assert run.returncode == 0, run.output[-4000:]
    records = run.records()
    assert len(records) == 2 * len(names)
    assert set(run.outcomes().values()) == {"skipped"}
    assert "NO_BASELINE" in run.output
    for record in records.values():
        assert record.measurement.counters["NPU_ACTIVE"] > 0
        assert record.accuracy is None
        assert "no dataset" in record.accuracy_absent
    # The published FVP row of the very same file stands beside ours.
    assert "1,415,272" in run.tables()


@needs_zoo
def test_streams_of_the_zoo_are_executed_as_their_references_do(tmp_path: Path) -> None:
    streams = held(streams=True)
    if not streams:
        pytest.skip("BENCH_MODEL_ZOO names no stream of the zoo: NOT tested (bench zoo fetch)")
    runner = BenchRunner(tmp_path)
    lines = [f'{m.name} = "{ZOO}/{m.name}.tflite"' for m in streams]
    grid = GRID.replace("vela", "sim").replace("32, ", "")
    config = runner.write_config(f"{grid}[workloads]\n" + "\n".join(lines) + "\n")
    run = runner.run(config, "-n", "0", "-k", "test_reference")
    assert set(run.outcomes().values()) == {"passed"}, run.output[-4000:]
    records = run.records().values()
    assert len(records) == len(streams)
    assert all(record.model.keeps_state for record in records)


#: Metric -> outputs of the model, labels of real-valued outputs `[n, outputs]`, a limit that a
#: right figure keeps and one that it breaks.
METRICS: dict[str, tuple[int, Callable[[Array], Array], str, str]] = {
    "top1": (4, lambda real: real.argmax(axis=1), "min = 0.9", "max = 0.9"),
    "auc": (2, lambda real: real[:, 1] > real[:, 0], "min = 0.95", "max = 0.95"),
    # Saturated outputs are off; answers of nothing but zeros would be off by about 10.
    "mse": (4, lambda real: real, "max = 1", "min = 1"),
}


@pytest.mark.parametrize("metric", METRICS)
def test_a_model_with_dataset_metric_and_limits_of_its_own(tmp_path: Path, metric: str) -> None:
    outputs, label, kept, broken = METRICS[metric]
    runner = BenchRunner(tmp_path)
    generator = np.random.default_rng(5)
    weights = generator.integers(-127, 127, (outputs, 16), dtype=np.int8)
    (tmp_path / "mine.tflite").write_bytes(mlp([weights], input_scale=1 / 64, input_zero_point=0))
    inputs = generator.uniform(-2, 2, (50, 16)).astype(np.float32)
    # The factory's weights have the scale 0.01.
    labels = label(inputs @ weights.T.astype(np.float32) * np.float32(0.01))
    np.savez(tmp_path / "mine.npz", inputs=inputs, labels=labels)

    config = runner.write_config(
        GRID.replace("vela", "sim")
        + '[workloads.mine]\nmodel = "mine.tflite"\ndataset = "mine.npz"\n'
        + f'metric = "{metric}"\n'
        + f'[[workloads.mine.limits]]\nmetric = "accuracy"\nmacs = [32]\n{kept}\n'
        + f'[[workloads.mine.limits]]\nmetric = "accuracy"\nmacs = [256]\n{broken}\n'
    )
    run = runner.run(config, "-n", "0", "-k", "test_accuracy")
    assert run.outcomes() == {
        "test_accuracy[mine-base-u55_32-shared_sram-sim]": "passed",
        "test_accuracy[mine-base-u55_256-shared_sram-sim]": "failure",
    }, run.output[-4000:]
    for record in run.records().values():
        assert record.accuracy is not None
        assert record.accuracy.metric == metric
        assert record.accuracy.samples == 50
        assert record.data.name == "mine.npz"


def test_an_int16_model_of_two_inputs_is_executed_bit_for_bit(tmp_path: Path) -> None:
    network = Network(seed=3)
    first, second = (network.input((1, 24), "int16") for _ in range(2))
    dense = fully_connected(network, binary(network, "ADD", first, second), 12)
    (tmp_path / "wide.tflite").write_bytes(network.serialise([dense]))
    runner = BenchRunner(tmp_path)
    config = runner.write_config(
        GRID.replace("vela", "sim") + '[workloads]\nwide = "wide.tflite"\n'
    )
    run = runner.run(config, "-n", "0", "-k", "test_reference")
    assert set(run.outcomes().values()) == {"passed"}, run.output[-4000:]
    for record in run.records().values():
        assert record.reference is not None
        assert record.reference.elements == 20 * 12


def test_a_download_is_checked_and_cached(tmp_path: Path) -> None:
    content = mlp([np.ones((4, 16), np.int8)])
    digest = hashlib.sha256(content).hexdigest()
    runner = BenchRunner(tmp_path)

    def config(name: str, url: str, sha256: str) -> Path:
        table = f'[workloads.far]\nurl = "{url}"\nsha256 = "{sha256}"\n'
        return runner.write_config(GRID + table, name)

    with serving(file(content)) as server:
        # With credentials, of which nothing may be seen again.
        url = server.url.replace("http://", "http://user:s3cret@") + "?token=t0ken"
        run = runner.run(config("wrong.toml", url, "0" * 64), "-n", "0", "-k", "test_npu_cycles")
        assert run.returncode == 75
        assert f"expected {'0' * 64}" in run.output
        assert not _told(run, "s3cret", "t0ken")
        right = config("right.toml", url, digest)
        run = runner.run(right, "-n", "2", "-v", "--showlocals")
        assert len(run.records()) == 2
        # user:s3cret
        assert "Authorization: Basic dXNlcjpzM2NyZXQ=" in server.requests[-1]
    # Once fetched, the address is not needed any more.
    run = runner.run(right, "-n", "0")
    records = run.records()
    assert len(records) == 2
    assert {r.model.provenance["url"] for r in records.values()} == {f"{server.url}?***"}
    assert not _told(run, "s3cret", "t0ken")


def _told(run: BenchRun, *secrets: str) -> list[str]:
    """Where the run said one of `secrets`: on the terminal, or in a file it left."""
    places = ["terminal"] if any(secret in run.output for secret in secrets) else []
    for root in (run.directory.path, run.cache):
        for path in root.rglob("*"):
            if path.is_file() and any(s.encode() in path.read_bytes() for s in secrets):
                places.append(str(path))
    return places


def test_an_address_that_is_not_allowed_is_refused_at_the_start(tmp_path: Path) -> None:
    runner = BenchRunner(tmp_path)
    for url in ("http://u:s3cret@example.com/m.tflite", "file:///m.tflite"):
        table = f'[workloads.far]\nurl = "{url}"\nsha256 = "{"0" * 64}"\n'
        process = runner.start(runner.write_config(GRID + table), "-n", "0")
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 4
        assert "workloads.far: `url` " in output
        assert "s3cret" not in output
