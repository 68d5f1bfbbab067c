"""What limits a network, in words: on real streams compiled by Vela."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ethosu import mlw_codec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.compiler import VelaOptions, VelaReport, compile_model
from bench.tflite.layer_names import short_name, unique_names
from targets.artefact.layers import NamedOperation
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.sim import layer_cycles, names_of
from targets.simulator.simulator import Simulator
from targets.simulator.timing import PROFILES, Bound, NetworkTiming
from targets.simulator.timing.explain import explain
from targets.simulator.timing.layers import layers_of
from targets.simulator.weights.compression import WeightStream
from targets.simulator.weights.count import weight_stream
from tests.support.models.tflite_factory import mlp

MODE = MemoryMode.SHARED_SRAM
PROFILE = PROFILES["u55_high_end"]
SHAPES = ((128, 784), (64, 128), (10, 64))


@dataclass(frozen=True)
class Network:
    simulator: Simulator
    report: VelaReport
    #: What was compiled, and what Vela wrote.
    source: Path
    compiled: Path

    @property
    def timing(self) -> NetworkTiming:
        return self.simulator.timing(MODE, PROFILE)

    @property
    def names(self) -> Mapping[int, NamedOperation]:
        return names_of(self.simulator.artefact, self.compiled, self.source)

    def explained(self, mode: MemoryMode = MODE) -> str:
        timing = self.simulator.timing(mode, PROFILE)
        return explain(
            timing,
            self.names,
            partial(self.simulator.timing, mode, PROFILE),
            partial(weight_stream, self.simulator.artefact.npu_operators),
            self.report.cycles_total,
        )


def weights(sparsity: float) -> list[np.ndarray]:
    """Bell-shaped weights, the smallest of them zero, as pruning leaves them."""
    generator = np.random.default_rng(4)
    layers = [np.clip(np.round(generator.normal(0, 30, s)), -127, 127) for s in SHAPES]
    return [prune(w, sparsity).astype(np.int8) for w in layers]


def prune(w: np.ndarray, sparsity: float) -> np.ndarray:
    return np.where(np.abs(w) <= np.quantile(np.abs(w), sparsity), 0, w) if sparsity else w


def compiled(directory: Path, sparsity: float, macs: Accelerator = Accelerator.U55_128) -> Network:
    directory.mkdir()
    model = directory / "fc.tflite"
    model.write_bytes(mlp(weights(sparsity), softmax=True))
    made = compile_model(model, VelaOptions(accelerator=macs, memory_mode=MODE), directory)
    path = made.path(directory)
    return Network(Simulator(path), made.report, model, path)


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return compiled(tmp_path_factory.mktemp("explain") / "dense", 0.0)


def test_the_layer_that_waits_for_its_weights_is_named_with_what_would_help(
    dense: Network, tmp_path: Path
) -> None:
    text = dense.explained()
    found = re.match(
        r"estimate: dense_0 is flash-bound at 128 MACs: (\d+)% of its cycles wait for weights; it "
        r"becomes compute-bound below ([\d.]+) KiB encoded \(about (\d+)% sparsity\)\. ",
        text,
    )
    assert found, text
    assert int(found[1]) > 60
    assert f"(estimate; Vela's: {dense.report.cycles_total:,})" in text
    # It is true: pruned that far, the layer is bound by its weights no more, nor shortly before.
    limit_kib, sparsity = float(found[2]), int(found[3]) / 100
    more = compiled(tmp_path / "more", min(0.99, sparsity + 0.02))
    less = compiled(tmp_path / "less", sparsity - 0.05)
    first = more.timing.operations[0]
    assert first.bound_by in (Bound.COMPUTE, Bound.WEIGHT_DECODE)
    assert less.timing.operations[0].bound_by is Bound.FLASH
    stream = weight_stream(more.simulator.artefact.npu_operators, [0])
    assert stream is not None
    assert stream.encoded_bytes / 1024 < limit_kib


def test_the_gain_that_is_promised_is_what_the_estimate_says(dense: Network) -> None:
    found = re.search(r"would then take ([\d,]+) cycles instead of ([\d,]+)", dense.explained())
    assert found
    after, before = (int(figure.replace(",", "")) for figure in found.groups())
    assert before == dense.timing.npu_active
    free = dense.simulator.timing(MODE, PROFILE, {0: 0.0}).npu_active
    assert free < after < before


def test_without_flash_the_decoder_is_named(dense: Network) -> None:
    text = dense.explained(MemoryMode.SRAM_ONLY)
    assert "dense_0 is bound by the weight decoder at 128 MACs" in text


def test_layers_add_up_and_stand_beside_velas(dense: Network) -> None:
    timing = dense.timing
    names = dense.names
    layers = {layer.name: layer for layer in layers_of(timing, names)}
    assert {"dense_0", "dense_1", "dense_2", "softmax"} <= set(layers)
    assert sum(layer.total for layer in layers.values()) == pytest.approx(
        sum(row.total for row in timing.operations)
    )
    rows = layer_cycles(timing, names)
    assert abs(sum(row.total for row in rows) - timing.npu_active) <= len(rows)
    # Every layer of Vela's report once, so the column adds up to Vela's total.
    assert sum(row.vela_cycles or 0 for row in rows) == dense.report.cycles_total


def test_explaining_many_operators_counts_their_operations_through(dense: Network) -> None:
    operators = dense.simulator.artefact.npu_operators * 2
    count = len(operators[0].operations)
    one, same = weight_stream(operators, [0]), weight_stream(operators, [count])
    both = weight_stream(operators, [0, count])
    assert one == same
    assert one is not None
    assert both == WeightStream(2 * one.weights, 2 * one.zeros, 2 * one.encoded_bytes)
    # The softmax has no weights.
    assert weight_stream(operators, [0, count - 2]) is None


def encoded(w: np.ndarray) -> int:
    data, _ = mlw_codec.reorder_encode(
        8, 8, w.astype(np.int16)[:, None, None, :], 128, False, False, 8, 8, 8
    )
    return len(data)


@pytest.mark.parametrize("target", [0.5, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("spread", [12, 30])
def test_the_sparsity_of_a_size_is_about_what_velas_encoder_makes(
    target: float, spread: int
) -> None:
    w = np.clip(np.round(np.random.default_rng(7).normal(0, spread, SHAPES[0])), -127, 127)
    now = WeightStream(w.size, int((w == 0).sum()), encoded(w))
    pruned = prune(w, target)
    told = now.sparsity_at(encoded(pruned))
    assert told is not None
    assert told == pytest.approx(float((pruned == 0).mean()), abs=0.05)


@settings(deadline=None)
@given(
    st.integers(100, 10**6), st.floats(0, 0.95), st.floats(1.2, 8.5), st.floats(0.05, 0.95),
    st.floats(0.05, 0.95),
)  # fmt: skip
def test_smaller_sizes_take_more_zeros(
    count: int, sparsity: float, bits: float, one: float, other: float
) -> None:
    stream = WeightStream(count, int(sparsity * count), int(count * bits / 8))
    small, large = sorted((one, other))
    more, less = (stream.sparsity_at(s * stream.encoded_bytes) for s in (small, large))
    assert (more is None) == (less is None)
    assume(more is not None and less is not None)
    assert more is not None
    assert less is not None
    assert stream.sparsity <= less <= more + 1e-6 <= 1 + 1e-6
    assert stream.sparsity_at(stream.encoded_bytes) is None


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        ("mnist_fc/dense_1/MatMul;mnist_fc/dense_1/Relu;mnist_fc/dense_1/BiasAdd", "dense_1"),
        ("mnist_ds_cnn/conv_norm/FusedBatchNormV3;mnist_ds_cnn/conv/Conv2D1", "conv"),
        ("model/add/add", None),
        ("model/conv2d_5/Conv2D;model/conv2d_5/BiasAdd/ReadVariableOp/resource1", "conv2d_5"),
        ("StatefulPartitionedCall/PartitionedCall_2/PartitionedCall/Conv2D", None),
        ("Identity", None),
        ("StatefulPartitionedCall:0", None),
        ("dense_0", "dense_0"),
    ],
)
def test_names_are_those_a_person_gave(tensor: str, name: str | None) -> None:
    assert short_name("Conv2D", tensor) == name


def test_a_softmax_in_pieces_has_one_name() -> None:
    assert short_name("Softmax", "Identity") == "softmax"


def test_no_two_layers_have_one_name() -> None:
    layers = [
        (0, "Conv2D", "model/conv/Conv2D"),
        (1, "Add", "model/add/add"),
        (2, "Conv2D", "model/conv/BiasAdd"),
        (3, "Add", "Identity"),
        (None, "MaxPool", ""),
        (None, "MaxPool", ""),
        (4, "Softmax", "a"),
        (5, "Softmax", "b"),
    ]
    assert unique_names(layers) == [
        *("conv", "Add 1", "conv (2)", "Add 3", "MaxPool", "MaxPool #2", "softmax", "softmax (5)")
    ]
