"""Two finished cells, ready to run again from what the cache still holds of them.

Models and data are found by what the records say of them. Which version of the bench or of Vela
made a file does not matter: it is the one of its sha256.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from bench.cache import ArtefactCache
from bench.core.arrays import Array, digest_arrays
from bench.core.errors import CacheError, ModelError
from bench.history.first_difference import MOST_INPUTS, Pair
from bench.history.layer_outputs import RunningModel
from bench.measuring.datasets import fit_dataset, fitted_dataset
from bench.records.record import DataIdentity, Record
from bench.tflite.model_file import ModelFile, inspect
from bench.tflite.random_inputs import random_inputs

__all__ = ["kept_pair"]

#: The kinds of products that are data sets: the user's, and ours.
_DATA_KINDS = ("input", "dataset")
_RANDOM = re.compile(r"random seed (\d+)")


def kept_pair(cache: ArtefactCache, a: Record, b: Record) -> Pair:
    """The compiled models of `a` and `b`, and the first inputs of A's test set fitted to each.

    Raises `CacheError` if a model or the test set is no longer in `cache`, and another `BenchError`
    if one cannot be used.
    """
    (model_a, inputs_a), (model_b, inputs_b) = (_kept(cache, a, a), _kept(cache, b, a))
    return Pair(model_a, model_b, inputs_a, inputs_b, streams=a.data.steps is not None)


def _kept(
    cache: ArtefactCache, record: Record, data: Record
) -> tuple[RunningModel, tuple[Array, ...]]:
    path = _file(cache, ("compiled",), record.compilation.sha256, "the compiled model")
    model = RunningModel(path, record.cell.macs, record.measurement.layers)
    return model, _first_inputs(cache, data.data, inspect(path), MOST_INPUTS)


def _first_inputs(
    cache: ArtefactCache, data: DataIdentity, model: ModelFile, most: int
) -> tuple[Array, ...]:
    """At most `most` of the first inputs of `data`, fitted to `model`; see `TestSet.inputs`.

    Raises `CacheError` if the data is not in the cache, and `ModelError` if it does not fit.
    """
    drawn = _RANDOM.fullmatch(data.name)
    if drawn is not None:
        inputs = random_inputs(model, data.samples * (data.steps or 1), int(drawn[1]))
        if data.steps is not None:
            inputs = tuple(
                array.reshape(data.samples, data.steps, *array.shape[1:]) for array in inputs
            )
        if digest_arrays(inputs) != data.sha256:
            raise ModelError(f"the models do not take the same inputs ({data.name})")
        return tuple(array[:most] for array in inputs)
    path = _file(cache, _DATA_KINDS, data.sha256, f"the data set {data.name}")
    with tempfile.TemporaryDirectory(prefix="bench-inputs-") as name:
        fit_dataset(path, model, Path(name))
        dataset = fitted_dataset(path, model, lambda file: Path(name, file))
        return tuple(array[:most].copy() for array in dataset.inputs)


def _file(cache: ArtefactCache, kinds: tuple[str, ...], sha256: str, what: str) -> Path:
    for kind in kinds:
        entry = cache.find_with(kind, sha256)
        if entry is not None:
            record = next(file for file in entry.manifest.files if file.sha256 == sha256)
            return entry.file(record.path)
    raise CacheError(
        f"{what} ({sha256[:12]}) is not in the cache {cache.root}",
        cure="it was evicted, or is in another cache (--cache DIR); measure the cell again",
    )
