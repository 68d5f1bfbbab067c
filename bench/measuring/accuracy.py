"""How good a model's answers are: quantisation, metrics and labelled datasets.

Pure functions of arrays, but for `load_dataset`.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.measuring.finite import finite_figure, require_finite
from bench.plan.metrics import AccuracyMetric
from bench.tflite.model_file import ModelFile, TensorInfo

__all__ = [
    "Dataset",
    "auc",
    "dequantise",
    "evaluate",
    "load_dataset",
    "mse",
    "quantise",
    "top1",
]


# What zipfile, zlib and NumPy raise over a file that is not there, no archive, or damaged (an
# altered byte can ask for encryption, an unknown compression or an array beyond all memory).
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    SyntaxError,
    OverflowError,
    MemoryError,
    RuntimeError,
    NotImplementedError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def quantise(values: Array, scale: float, zero_point: int, dtype: str) -> Array:
    """Real values as the integers of `dtype`: clamp(round(x / scale) + zero_point).

    TFLite's QUANTIZE (`AffineQuantize`): the division in float32, halves rounded away from
    zero, saturated at the range of `dtype`. Same shape as `values`. Raises `ModelError` for
    values that are not finite.
    """
    if not np.isfinite(values).all():
        raise ModelError(
            "cannot quantise values that are infinite or not a number",
            cure="clean the data",
        )
    # A value too large for float32, or for it once divided, saturates like any large value.
    with np.errstate(over="ignore"):
        quotient = (values.astype(np.float32) / np.float32(scale)).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    bounds = np.iinfo(dtype)
    integers: Array = np.clip(rounded + zero_point, bounds.min, bounds.max).astype(dtype)
    return integers


def dequantise(values: Array, scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """Integers as real values, scale * (q - zero_point), in float32 as TFLite's DEQUANTIZE."""
    steps = (values.astype(np.int64) - zero_point).astype(np.float32)
    real: npt.NDArray[np.float32] = steps * np.float32(scale)
    return real


def top1(outputs: Array, labels: Array) -> float:
    """Share of rows of `outputs` (`[n, ...]`, n > 0) whose largest element is at `labels[n]`.

    Of equal elements the first counts, as in the applications that run on the device; a
    coarse quantisation makes ties common. Raises `ModelError` when the shapes do not fit.
    """
    if labels.shape != outputs.shape[:1] or labels.dtype.kind not in "iu" or outputs.size == 0:
        raise _labels_error("top1", "one integer class a row", outputs, labels)
    scores = outputs.reshape(len(outputs), -1)
    classes = scores.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise ModelError(
            f"labels run from {labels.min()} to {labels.max()}, the model has {classes} classes",
            cure="check that dataset and model belong together",
        )
    return float(np.mean(scores.argmax(axis=1) == labels))


def auc(scores: Array, labels: Array) -> float:
    """Area under the ROC curve of `scores` `[n]` (higher = positive) for labels 0 and 1 `[n]`.

    The Mann-Whitney statistic with average ranks: the probability that a positive row
    scores above a negative one, an equal score counting half. Raises `ModelError` unless
    both classes are present.
    """
    if scores.ndim != 1 or labels.shape != scores.shape or not np.isfinite(scores).all():
        raise _labels_error("auc", "one finite score and one label 0 or 1 a row", scores, labels)
    if not np.isin(labels, (0, 1)).all() or np.unique(labels).size != 2:
        raise _labels_error("auc", "labels 0 and 1, each at least once", scores, labels)
    positive = labels.astype(bool)
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # Ranks are 1-based; equal scores share the mean of the ranks they take up.
    average_rank = np.cumsum(counts) - (counts - 1) / 2
    positives = int(positive.sum())
    negatives = positive.size - positives
    rank_sum = float(average_rank[group.reshape(-1)][positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def mse(outputs: Array, expected: Array) -> float:
    """Mean squared difference of two arrays of one shape, computed in float64.

    Raises `ModelError` when the shapes differ or there is nothing to compare.
    """
    if outputs.shape != expected.shape or outputs.size == 0:
        raise _labels_error("mse", "expected values of the outputs' shape", outputs, expected)
    # What overflows is infinite, and so told by `evaluate`.
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean((outputs.astype(np.float64) - expected.astype(np.float64)) ** 2))


def evaluate(metric: AccuracyMetric, outputs: Array, labels: Array) -> float:
    """`metric` of one output `[n, ...]` in real values.

    TOP1 takes class numbers `[n]`, MSE expected values in the output's shape. AUC takes labels
    0 and 1 `[n]`; the score of a row is its one element, or of two classes the second less
    the first. Raises `ModelError` where outputs and labels do not fit the metric, or where it
    comes to no finite number.
    """
    value = _evaluate(metric, outputs, labels)
    return finite_figure(metric.value, value, outputs, labels)


def _evaluate(metric: AccuracyMetric, outputs: Array, labels: Array) -> float:
    if metric is AccuracyMetric.TOP1:
        return top1(outputs, labels)
    if metric is AccuracyMetric.MSE:
        return mse(outputs, labels)
    columns = outputs.reshape(len(outputs), -1) if outputs.size else np.empty((0, 1))
    if columns.shape[1] == 1:
        return auc(columns[:, 0], labels)
    if columns.shape[1] == 2:
        # The difference, not the second column alone: outputs need not sum to one.
        wide = columns.astype(np.float64)
        return auc(wide[:, 1] - wide[:, 0], labels)
    raise _labels_error("auc", "one score or two classes a row", outputs, labels)


@dataclass(frozen=True)
class Dataset:
    """Inputs ready for one model, and what it should answer.

    `inputs` has one array `[n, ...]` for each model input in the model's dtype; `labels` is
    `[n, ...]` or None. `sha256` is of the file, for cache keys and provenance.
    """

    sha256: str
    inputs: tuple[Array, ...]
    labels: Array | None


def load_dataset(path: Path, model: ModelFile) -> Dataset:
    """Read an `.npz` file with `inputs` (or `inputs_0`, `inputs_1`, ...) and maybe `labels`.

    Inputs are `[n, ...]` in the model's shape: of the model's own integer dtype, or floating,
    then quantised with the scale of the model's input. Any other key is refused, for it is
    most likely a misspelt one. Raises `ModelError` naming the file and the key, and for a value
    that is infinite or not a number its index.
    """
    arrays, digest = _read_npz(path)
    names = _input_keys(path, arrays, len(model.inputs))
    for name, array in arrays.items():
        require_finite(f"dataset {path}", name, array)
    inputs = tuple(
        _fit(path, name, arrays[name], tensor)
        for name, tensor in zip(names, model.inputs, strict=True)
    )
    labels = arrays.get("labels")
    rows = {name: len(arrays[name]) for name in names}
    if labels is not None:
        if labels.ndim == 0 or labels.dtype.kind not in "biuf":
            raise _key_error(path, "labels", f"not numbers [n, ...]: {labels.dtype} {labels.shape}")
        rows["labels"] = len(labels)
    if len(set(rows.values())) != 1 or 0 in rows.values():
        listing = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise ModelError(
            f"dataset {path}: the number of rows must be one and above 0, found {listing}",
            cure="save all arrays with the same first dimension",
        )
    return Dataset(sha256=digest, inputs=inputs, labels=labels)


def _read_npz(path: Path) -> tuple[dict[str, Array], str]:
    try:
        data = path.read_bytes()
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("a single array, not an archive of named ones")
        with loaded as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _DAMAGE as error:
        raise ModelError(
            f"cannot read the dataset {path}: {error}",
            cure="write it with numpy.savez(path, inputs=..., labels=...)",
        ) from error
    return arrays, hashlib.sha256(data).hexdigest()


def _input_keys(path: Path, arrays: Mapping[str, Array], wanted: int) -> list[str]:
    given = {name for name in arrays if name != "labels"}
    numbered = [f"inputs_{index}" for index in range(wanted)]
    if given == set(numbered):
        return numbered
    if wanted == 1 and given == {"inputs"}:
        return ["inputs"]
    expected = "inputs" if wanted == 1 else ", ".join(numbered)
    strange = sorted(name for name in given if not re.fullmatch(r"inputs(_\d+)?", name))
    found = ", ".join(sorted(given)) or "none"
    raise ModelError(
        f"dataset {path}: expected the keys {expected} and maybe labels, found {found}"
        + (f"; unknown: {', '.join(strange)}" if strange else ""),
        cure="name the arrays so, one for each model input",
    )


def _fit(path: Path, name: str, array: Array, tensor: TensorInfo) -> Array:
    if array.ndim == 0 or array.shape[1:] != tensor.shape[1:]:
        wanted = ", ".join(map(str, ("n", *tensor.shape[1:])))
        raise _key_error(path, name, f"shape {list(array.shape)}, the model takes [{wanted}]")
    if array.dtype.name == tensor.dtype:
        return array
    if array.dtype.kind != "f":
        raise _key_error(
            path, name, f"dtype {array.dtype}, the model takes {tensor.dtype} (or floats)"
        )
    try:
        return quantise(array, tensor.scales[0], tensor.zero_points[0], tensor.dtype)
    except ModelError as error:
        raise _key_error(path, name, error.what) from error


def _key_error(path: Path, name: str, what: str) -> ModelError:
    return ModelError(
        f"dataset {path}, key {name!r}: {what}",
        cure="save the array in the model's shape, as floats or in the model's dtype",
    )


def _labels_error(metric: str, wanted: str, outputs: Array, labels: Array) -> ModelError:
    return ModelError(
        f"{metric} needs {wanted}; given {outputs.dtype} {list(outputs.shape)} and labels "
        f"{labels.dtype} {list(labels.shape)}",
        cure="choose another metric or correct the dataset's labels",
    )
