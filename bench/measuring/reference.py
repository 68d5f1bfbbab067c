"""The reference outputs of quantised models, cached, and a target's outputs compared with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.cache import JSON
from bench.core.arrays import Array, digest_arrays, load_arrays, row_slices, save_arrays
from bench.core.plain_json import read_model
from bench.core.schema import StrictModel
from bench.measuring.products import ProductStore
from bench.measuring.progress import Task
from bench.records.quality import OutputDifference, ReferenceRecord
from bench.tflite.reference import Reference, ReferenceOutputs

__all__ = ["REFERENCE_CODE", "CachedReference", "compare_outputs"]

#: What runs the interpreters.
REFERENCE_CODE = ("bench.tflite.reference",)

_OUTPUTS, _ORIGIN = "outputs.npz", "reference.json"


class _Origin(StrictModel):
    """`ReferenceOutputs` without the outputs."""

    interpreter: str
    inexact: str
    absent: str


def compare_outputs(
    outputs: Sequence[Array], reference: ReferenceOutputs
) -> tuple[ReferenceRecord | None, str]:
    """Compare the first rows of `outputs` `[n, ...]` with the reference's `[m, ...]`, m <= n.

    Returns None and the reason if there is nothing to compare with.
    """
    if reference.absent:
        return None, reference.absent
    differences = [
        _difference(got, want) for got, want in zip(outputs, reference.outputs, strict=True)
    ]
    record = ReferenceRecord(
        interpreter=reference.interpreter,
        inexact=reference.inexact,
        samples=len(reference.outputs[0]),
        elements=sum(one.elements for one in differences),
        mismatches=sum(one.mismatches for one in differences),
        largest=max(one.largest for one in differences),
        outputs=tuple(differences),
    )
    return record, ""


def _difference(got: Array, want: Array) -> OutputDifference:
    """The first rows of an output and the reference's, piece by piece."""
    mismatches = elements = largest = 0
    for part in row_slices(len(want), want[:1].nbytes):
        steps = np.abs(got[part].astype(np.int64) - want[part].astype(np.int64))
        mismatches += int(np.count_nonzero(steps))
        elements += steps.size
        largest = max(largest, int(steps.max(initial=0)))
    return OutputDifference(
        dtype=want.dtype.name, elements=elements, mismatches=mismatches, largest=largest
    )


class CachedReference:
    """A `Reference` that runs each model on each set of inputs only once.

    An interpreter's death is stored like an answer, so the same model kills only one.
    """

    def __init__(self, runner: Reference, store: ProductStore) -> None:
        self._runner = runner
        self._store = store

    def fingerprint(self) -> Mapping[str, str]:
        """The runner's."""
        return self._runner.fingerprint()

    def __call__(self, model: Path, inputs: Sequence[Array]) -> ReferenceOutputs:
        """See `Reference`."""
        parameters: dict[str, JSON] = {
            "model": hashlib.sha256(model.read_bytes()).hexdigest(),
            "inputs": digest_arrays(inputs),
            "interpreters": dict(self.fingerprint()),
        }
        product = self._store.product("reference", model.stem, parameters, REFERENCE_CODE)

        def build(directory: Path) -> None:
            with Task.running("reference", product.name, self._store.sink):
                made = self._runner(model, inputs)
            save_arrays(directory / _OUTPUTS, made.outputs)
            origin = _Origin(interpreter=made.interpreter, inexact=made.inexact, absent=made.absent)
            (directory / _ORIGIN).write_text(origin.model_dump_json(indent=1), encoding="utf-8")

        entry = self._store.obtain(product, build)
        origin = read_model(entry.file(_ORIGIN).read_bytes(), _Origin)
        return ReferenceOutputs(load_arrays(entry.file(_OUTPUTS)), **origin.model_dump())
