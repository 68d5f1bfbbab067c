"""The reference outputs: what TFLite-Micro computes for a quantised model, cached.

TFLite-Micro's integer kernels round as the Ethos-U55's command stream asks the NPU to, so its
outputs are what a correct NPU must give, bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.cache import ArtefactCache, CacheKey
from bench.core.arrays import Array, digest_arrays, load_arrays, save_arrays
from bench.core.fingerprint import installed_version
from bench.measuring.progress import Sink, Task, waiting
from bench.records.record import ReferenceRecord
from bench.tflite.interpreters import run_tflm

__all__ = ["Reference", "cached_reference", "compare_outputs"]

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


def cached_reference(cache: ArtefactCache, sink: Sink) -> Reference:
    """A reference that runs each model on each set of inputs once, whoever asks for it."""

    def reference(model: Path, inputs: Sequence[Array]) -> tuple[Array, ...]:
        key = CacheKey(
            "reference",
            {
                "model": hashlib.sha256(model.read_bytes()).hexdigest(),
                "inputs": digest_arrays(inputs),
                "interpreter": _interpreter(),
            },
        )

        def build(directory: Path) -> None:
            with Task.running("reference", model.stem, sink):
                save_arrays(directory / "outputs.npz", run_tflm(model, inputs))

        entry = cache.get_or_build(key, build, on_wait=waiting(model.stem, sink))
        return load_arrays(entry.file("outputs.npz"))

    return reference
