"""The reference outputs: what TFLite-Micro computes for a quantised model, cached.

TFLite-Micro's integer kernels round as the Ethos-U55's command stream asks the NPU to, so its
outputs are what a correct NPU must give, bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.core.arrays import Array, digest_arrays, load_arrays, save_arrays
from bench.core.versions import installed_version
from bench.measuring.products import ProductStore
from bench.measuring.progress import Task
from bench.records.record import ReferenceRecord
from bench.tflite.interpreters import run_tflm

__all__ = ["REFERENCE_CODE", "Reference", "cached_reference", "compare_outputs"]

#: What runs the interpreter.
REFERENCE_CODE = ("bench.tflite.interpreters",)

_OUTPUTS = "outputs.npz"

#: (quantised model, inputs `[n, ...]`) -> outputs `[n, ...]`.
Reference = Callable[[Path, Sequence[Array]], tuple[Array, ...]]


def compare_outputs(outputs: Sequence[Array], expected: Sequence[Array]) -> ReferenceRecord:
    """Compare the first rows of `outputs` `[n, ...]` with `expected` `[m, ...]`, m <= n."""
    mismatches = elements = largest = 0
    for got, want in zip(outputs, expected, strict=True):
        difference = np.abs(got[: len(want)].astype(np.int64) - want.astype(np.int64))
        mismatches += int(np.count_nonzero(difference))
        elements += difference.size
        largest = max(largest, int(difference.max(initial=0)))
    return ReferenceRecord(
        interpreter=_interpreter(),
        samples=len(expected[0]),
        elements=elements,
        mismatches=mismatches,
        largest=largest,
    )


def _interpreter() -> str:
    return f"tflite-micro {installed_version('tflite-micro')}"


def cached_reference(store: ProductStore) -> Reference:
    """A reference that runs each model on each set of inputs once, whoever asks for it."""

    def reference(model: Path, inputs: Sequence[Array]) -> tuple[Array, ...]:
        parameters = {
            "model": hashlib.sha256(model.read_bytes()).hexdigest(),
            "inputs": digest_arrays(inputs),
            "interpreter": _interpreter(),
        }
        product = store.product("reference", model.stem, parameters, REFERENCE_CODE)

        def build(directory: Path) -> None:
            with Task.running("reference", product.name, store.sink):
                save_arrays(directory / _OUTPUTS, run_tflm(model, inputs))

        return load_arrays(store.obtain(product, build).file(_OUTPUTS))

    return reference
