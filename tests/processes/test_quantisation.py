"""Quantisation and dequantisation of data, as LiteRT's own operators do them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.measuring.quantisation import dequantise, quantise
from bench.tflite.interpreters import run_litert
from tests.support.models.tflite_factory import Op, Tensor, single_operator


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("scale", [0.5, 1 / 255, 0.39101523, 3.0517578e-05])
def test_quantise_equals_litert(tmp_path: Path, dtype: str, scale: float) -> None:
    zero = {"int8": -5, "uint8": 100, "int16": 0}[dtype]
    source, result = Tensor("x", (1, 512), "float32"), Tensor("y", (1, 512), dtype, scale, zero)
    path = tmp_path / "quantise.tflite"
    path.write_bytes(single_operator(Op("QUANTIZE", (0,), (1,)), [source], [result]))
    rng = np.random.default_rng(0)
    steps = np.concatenate(
        [
            np.arange(-128, 128) + 0.5,  # halves: where the ways of rounding differ
            rng.normal(0, 100, 4 * 512 - 256 - 4),
            [1e9, -1e9, 0.49999997, -0.49999997],
        ]
    )
    values = (steps * scale).astype(np.float32).reshape(4, 512)
    (expected,) = run_litert(path, (values,))
    np.testing.assert_array_equal(quantise(values, scale, zero, dtype), expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_dequantise_equals_litert(tmp_path: Path, dtype: str) -> None:
    zero = {"int8": -5, "uint8": 100, "int16": 0}[dtype]
    source, result = Tensor("x", (1, 256), dtype, 0.3, zero), Tensor("y", (1, 256), "float32")
    path = tmp_path / "dequantise.tflite"
    path.write_bytes(single_operator(Op("DEQUANTIZE", (0,), (1,)), [source], [result]))
    bounds = np.iinfo(dtype)
    values = np.linspace(bounds.min, bounds.max, 256).astype(dtype).reshape(1, 256)
    (expected,) = run_litert(path, (values,))
    np.testing.assert_array_equal(dequantise(values, 0.3, zero), expected)
