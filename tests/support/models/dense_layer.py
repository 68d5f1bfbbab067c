"""One dense layer, and what Vela made of it: for tests that need a real compile but start nothing.

`python -m tests.support.models.dense_layer` compiles it again and writes `dense_layer.json`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from bench.compiler import CompiledModel, VelaOptions, compile_model
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.models.tflite_factory import mlp

__all__ = ["STORED", "compile_dense_layer", "stored_dense_layer"]

STORED = Path(__file__).with_suffix(".json")


def stored_dense_layer() -> CompiledModel:
    """As compiled when `STORED` was written. `tests/processes` compares it with the Vela here."""
    return CompiledModel.model_validate_json(STORED.read_bytes())


def compile_dense_layer(directory: Path) -> CompiledModel:
    """256 inputs, 32 outputs, for 128 MACs."""
    weights = np.random.default_rng(1).integers(-100, 100, (32, 256), dtype=np.int8)
    model = directory / "dense.tflite"
    model.write_bytes(mlp([weights]))
    options = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM)
    return compile_model(model, options, directory / "out")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        STORED.write_text(
            compile_dense_layer(Path(name)).model_dump_json(indent=1) + "\n", encoding="utf-8"
        )
