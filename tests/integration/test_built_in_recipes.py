"""Recipes that come with the bench, trained: data from packages, and networks for users' data."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.tflite.reader import read_graph
from models.reading.facts import ModelFacts
from models.reading.origin import Origin
from models.recipes import FOR_USERS_DATA
from models.service import VariantBuilder
from tests.support.bench_runs import BenchRunner
from tests.support.models.vela_files import zoo

#: Network -> all its parameters, as the reference models of MLPerf Tiny have them, and the same
#: network in the zoo.
PUBLISHED = {
    "ds_cnn_kws": (24_908, "kws_ref_model"),
    "mobilenet_v1_vww": (221_794, "vww_96_int8"),
    "resnet8": (78_666, "pretrainedResnet_quant"),
    "deep_autoencoder": (269_992, "ad01_int8"),
}
#: The operators that have weights.
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

GRID = '[grid]\nmacs = [128]\nmemory_modes = ["Shared_Sram"]\ntargets = ["sim"]\n'


@pytest.fixture(scope="module")
def networks() -> dict[str, ModelFacts]:
    with VariantBuilder() as builder:
        return {
            name: builder.survey(Origin(name=name), lambda progress: None)
            for name in FOR_USERS_DATA
        }


def parameters(facts: ModelFacts) -> int:
    """Kernels, a bias for each channel, and the four parameters of a channel's batch norm."""
    total = channels = 0
    for layer in facts.layers:
        if layer.kernel:
            channels = layer.kernel[2 if layer.kind == "DepthwiseConv2D" else -1]
            total += math.prod(layer.kernel) + channels
        elif layer.kind == "BatchNormalization":
            total += 4 * channels
    return total


@pytest.mark.slow
@pytest.mark.parametrize("name", FOR_USERS_DATA)
def test_networks_have_the_published_parameters(networks: dict[str, ModelFacts], name: str) -> None:
    assert parameters(networks[name]) == PUBLISHED[name][0]
    known = {layer.name: layer.kernel for layer in networks[name].layers}
    assert all(known[layer] for layer in networks[name].compressed_layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOR_USERS_DATA)
def test_networks_have_the_kernels_of_the_published_models(
    networks: dict[str, ModelFacts], name: str
) -> None:
    """The trained int8 models that MLPerf Tiny ships: each kernel of theirs is one of ours."""
    graph = read_graph(zoo() / f"{PUBLISHED[name][1]}.tflite")
    theirs = Counter(
        tuple(sorted(graph.tensors[node.inputs[1]].shape))
        for node in graph.operators
        if node.info.name in WEIGHTED
    )
    ours = Counter(tuple(sorted(layer.kernel)) for layer in networks[name].layers if layer.kernel)
    assert ours == theirs


@pytest.mark.slow
def test_data_from_packages_is_trained_on_and_measured(tmp_path: Path) -> None:
    """For a very short time: what is learnt so soon is better than guessing, on the NPU too."""
    runner = BenchRunner(tmp_path)
    variants = (
        'base = {{ method = "train", epochs = {epochs} }}\n'
        'clustered = {{ method = "cluster", clusters = 16, epochs = 0.1 }}\n'
    )
    config = runner.write_config(
        f'{GRID}[workloads.watch]\nrecipe = "watch_activity"\n'
        f"[workloads.watch.variants]\n{variants.format(epochs=0.5)}"
        '[[workloads.watch.limits]]\nmetric = "accuracy"\nmin = 0.35\n'
        f'[workloads.faces]\nrecipe = "lfw_faces"\n'
        f"[workloads.faces.variants]\n{variants.format(epochs=2)}"
        '[[workloads.faces.limits]]\nmetric = "accuracy"\nmin = 0.7\n'
    )
    run = runner.run(config, "-n", "0", "-k", "accuracy or reference")
    assert run.returncode == 0, run.output[-4000:]
    records = run.records()
    names = {r.cell.workload: r.data.name for r in records.values()}
    assert names == {"watch": "watch_seglearn_eb122f23", "faces": "lfw_scikit_image_9560ec2f"}
    samples = {r.cell.workload: r.data.samples for r in records.values()}
    assert samples == {"watch": 1484, "faces": 50}
    # Kept: a second run neither reads nor trains.
    again = runner.run(config, "-n", "0", "-k", "accuracy or reference")
    assert again.returncode == 0, again.output[-4000:]
    assert again.work() == []


@pytest.mark.long
def test_a_network_is_trained_on_the_user_s_archive(tmp_path: Path) -> None:
    """With three words; other data makes other models, and a wrong shape is one sentence."""
    runner = BenchRunner(tmp_path)
    config = runner.write_config(
        f'{GRID}[workloads.kws]\nrecipe = "ds_cnn_kws"\ndata = "words.npz"\n'
        "options = { classes = 3 }\n"
        '[workloads.kws.variants]\nbase = { method = "train", epochs = 6, batch_size = 8 }\n'
        '[[workloads.kws.limits]]\nmetric = "accuracy"\nmin = 0.5\n'
    )
    write_words(tmp_path / "words.npz", (49, 10, 1))
    run = runner.run(config, "-n", "0", "-k", "accuracy or reference")
    assert run.returncode == 0, run.output[-4000:]
    (record,) = run.records().values()
    assert record.data.name == "words.npz"
    assert record.model.provenance["architecture"] == "ds_cnn_kws"
    assert record.model.provenance["train_images"] == "108"
    write_words(tmp_path / "words.npz", (49, 10, 1), seed=2)
    other = runner.run(config, "-n", "0", "-k", "accuracy")
    (changed,) = other.records().values()
    assert changed.model.sha256 != record.model.sha256
    write_words(tmp_path / "words.npz", (49, 10))
    wrong = runner.run(config, "-n", "0", "-k", "accuracy")
    assert wrong.returncode != 0
    assert "workloads.kws.recipe" in wrong.output
    assert "a sample is [49, 10], and the model's input 'mfcc' takes [49, 10, 1]" in wrong.output


def write_words(path: Path, shape: tuple[int, ...], seed: int = 1) -> None:
    """Noise, louder for each of three words."""
    rng = np.random.default_rng(seed)
    labels = np.arange(180) % 3
    level = labels.reshape(-1, *(1 for _ in shape))
    inputs = (rng.normal(size=(180, *shape)) * (level + 0.3)).astype(np.float32)
    np.savez(
        path,
        train_inputs=inputs[:120],
        train_labels=labels[:120],
        test_inputs=inputs[120:],
        test_labels=labels[120:],
    )
