"""What the ways to compress gain, measured by the bench on the target `sim`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plan.metrics import MetricName
from bench.records.metric_values import metric_value
from bench.records.record import Record
from tests.support.bench_runs import BenchRun, BenchRunner

pytestmark = pytest.mark.slow

DENSE = """
[grid]
macs = [32, 128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]

[data]
mnist = "subset"

[workloads.fc]
recipe = "mnist_fc"
seed = 1

[workloads.fc.variants]
base = { method = "train", epochs = 4 }
pruned = { method = "prune" }
pqat = { method = "qat", parent = "pruned", preserve = "sparsity" }
pcqat = { method = "qat", parent = "pruned_clustered", preserve = "both" }
int16 = { method = "quantise", activations = "int16" }

[workloads.fc.variants.pruned_clustered]
method = "cluster"
parent = "pruned"
preserve_sparsity = true
"""

CONVOLUTIONS = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]

[data]
mnist = "subset"

[workloads.cnn]
recipe = "mnist_ds_cnn"
seed = 1

[workloads.cnn.variants.base]
method = "train"
epochs = 0.5
learning_rate = 5e-3
decay = "cosine"

[workloads.cnn.variants.tensor]
method = "cluster"
clusters = 16
epochs = 0.25
batch_size = 100

[workloads.cnn.variants.channels]
method = "cluster"
clusters = 16
per_channel = true
epochs = 0.25
batch_size = 100

[workloads.cnn.variants.even]
method = "cluster"
clusters = 16
per_channel = true
initialisation = "even"
epochs = 0.25
batch_size = 100
"""


def run(directory: Path, config: str) -> BenchRun:
    runner = BenchRunner(directory)
    return runner.run(runner.write_config(config), timeout=1200)


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    return run(tmp_path_factory.mktemp("dense"), DENSE)


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    return run(tmp_path_factory.mktemp("convolutions"), CONVOLUTIONS)


def record(run: BenchRun, variant: str, macs: int = 128) -> Record:
    [found] = [
        r for r in run.records().values() if (r.cell.variant, r.cell.macs) == (variant, macs)
    ]
    return found


def figure(run: BenchRun, variant: str, name: MetricName, macs: int = 128) -> float:
    value = metric_value(record(run, variant, macs), name)
    assert isinstance(value, (int, float)), value
    return float(value)


def encoded(run: BenchRun, variant: str) -> float:
    return figure(run, variant, MetricName.ENCODED_WEIGHTS)


def accuracy(run: BenchRun, variant: str) -> float:
    return figure(run, variant, MetricName.ACCURACY)


def test_pcqat_stays_as_small_as_its_parent_and_as_accurate(dense: BenchRun) -> None:
    parent = encoded(dense, "pruned_clustered")
    assert abs(encoded(dense, "pcqat") - parent) <= 0.15 * parent
    assert accuracy(dense, "pcqat") >= accuracy(dense, "pruned_clustered")


def test_pqat_keeps_what_pruning_gained(dense: BenchRun) -> None:
    assert encoded(dense, "pqat") <= 1.1 * encoded(dense, "pruned")


@pytest.mark.parametrize("macs", [32, 128])
def test_16_bit_activations_go_through_the_bench(dense: BenchRun, macs: int) -> None:
    """Bit for bit as the reference interpreter, all on the NPU."""
    assert figure(dense, "int16", MetricName.REFERENCE, macs) == 0
    assert figure(dense, "int16", MetricName.CPU_OPERATORS, macs) == 0
    assert abs(accuracy(dense, "int16") - accuracy(dense, "base")) <= 0.01
    provenance = record(dense, "int16", macs).model.provenance
    assert provenance["quantise.activations"] == "int16"
    assert "quantise.activations" not in record(dense, "base", macs).model.provenance


def test_clustering_per_channel_pays_if_the_values_are_evenly_spaced(
    convolutions: BenchRun,
) -> None:
    """tfmot's own values differ from channel to channel once they are int8: no gain at all."""
    base = encoded(convolutions, "base")
    assert encoded(convolutions, "channels") >= 0.97 * base
    assert encoded(convolutions, "even") <= 0.85 * base
    assert encoded(convolutions, "even") <= 0.9 * encoded(convolutions, "tensor")
    assert accuracy(convolutions, "even") >= accuracy(convolutions, "base") - 0.02


def test_every_cell_was_measured(dense: BenchRun, convolutions: BenchRun) -> None:
    for one, cells in ((dense, 12), (convolutions, 4)):
        records = one.records()
        assert len(records) == cells, one.output
        assert all(not r.reference_absent for r in records.values())
