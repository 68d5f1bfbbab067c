"""Small models through the real Vela, for tests of what reads its output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from bench.core.arrays import Array
from tests.support.models.tflite_factory import Op, Tensor, mlp, model_bytes

__all__ = ["mixed_graph", "require_vela", "run_vela", "small_mlp", "zoo"]


def run_vela(model: bytes, directory: Path, *extra: str, macs: int = 128) -> Path:
    """Compile with options the bench itself never uses; returns the model Vela wrote."""
    directory.mkdir(parents=True, exist_ok=True)
    source = directory / "model.tflite"
    source.write_bytes(model)
    command = [
        *(sys.executable, "-m", "ethosu.vela", str(source)),
        *("--accelerator-config", f"ethos-u55-{macs}", "--memory-mode", "Shared_Sram"),
        *("--system-config", "Ethos_U55_High_End_Embedded", "--config", "Arm/vela.ini"),
        *("--output-dir", str(directory), *extra),
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=directory)
    return next(path for path in directory.iterdir() if path.stem == "model_vela")


def small_mlp(*, softmax: bool = False) -> bytes:
    """40 -> 24 -> 10, int8."""
    rng = np.random.default_rng(7)
    weights = [rng.integers(-127, 128, shape).astype(np.int8) for shape in ((24, 40), (10, 24))]
    return mlp(weights, softmax=softmax)


def mixed_graph() -> bytes:
    """Two inputs and two outputs; an operator for the CPU between two runs on the NPU.

    `sum` = dense(a) + dense(b) goes to FLOOR, which Vela leaves to the CPU, and to the second
    run besides; dense(b) is passed from run to run without being a tensor of the interface.
    """
    rng = np.random.default_rng(11)

    def feature_map(name: str, width: int) -> Tensor:
        return Tensor(name, (1, width), "int8", 0.05)

    def weights(name: str, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        data: Array = rng.integers(-127, 128, shape).astype(np.int8)
        bias: Array = rng.integers(-99, 99, shape[:1]).astype(np.int32)
        return (
            Tensor(name, shape, "int8", 0.02, data=data),
            Tensor(f"{name}_bias", shape[:1], "int32", 0.001, data=bias),
        )

    tensors = [
        feature_map("a", 24),
        feature_map("b", 40),
        *weights("dense_a", (16, 24)),
        feature_map("at", 16),
        *weights("dense_b", (16, 40)),
        feature_map("bt", 16),
        feature_map("sum", 16),
        feature_map("floored", 16),
        *weights("head", (8, 16)),
        feature_map("first", 8),
        feature_map("partial", 16),
        feature_map("second", 16),
    ]
    dense, add = schema.FullyConnectedOptionsT, schema.AddOptionsT
    operators = [
        Op("FULLY_CONNECTED", (0, 2, 3), (4,), dense(), version=4),
        Op("FULLY_CONNECTED", (1, 5, 6), (7,), dense(), version=4),
        Op("ADD", (4, 7), (8,), add(), version=2),
        Op("FLOOR", (8,), (9,)),
        Op("FULLY_CONNECTED", (9, 10, 11), (12,), dense(), version=4),
        Op("ADD", (9, 8), (13,), add(), version=2),
        Op("ADD", (13, 7), (14,), add(), version=2),
    ]
    return model_bytes(tensors, operators, [0, 1], [12, 14])


def zoo() -> Path:
    """The directory of public models, or a loud skip."""
    directory = os.environ.get("BENCH_MODEL_ZOO", "")
    if not directory or not Path(directory).is_dir():
        pytest.skip("BENCH_MODEL_ZOO is not set to a directory of .tflite models: NOT tested")
    return Path(directory)


def require_vela(version: str, directory: Path) -> None:
    """Skip the test, loudly, if no package index has this version of Vela."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries=1"]
    asked = subprocess.run(
        [*pip, f"ethos-u-vela=={version}", "--dest", str(directory)],
        capture_output=True,
        check=False,
    )
    if asked.returncode:
        pytest.skip(
            f"no package index has Vela {version}: NO SECOND VELA WAS INSTALLED OR COMPARED"
        )
