"""A user's labelled datasets, read and fitted to a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.core.arrays import Array
from bench.core.errors import ModelError
from bench.core.text import one_line
from bench.measuring.archive import ArrayHeader, open_archive
from bench.measuring.finite import require_finite
from bench.measuring.quantisation import quantise, real_range, saturated
from bench.tflite.model_file import ModelFile, TensorInfo

__all__ = ["Dataset", "load_dataset"]


@dataclass(frozen=True)
class Dataset:
    """Inputs ready for one model, and the right answers.

    `inputs` has one array `[n, ...]` for each model input, in the model's dtype; `labels` is
    `[n, ...]` or None. `sha256` is that of the file, for cache keys and provenance.
    """

    sha256: str
    inputs: tuple[Array, ...]
    labels: Array | None
    #: Share of the inputs' values that are outside the range of the model's inputs, 0..1; 0 for
    #: inputs in the model's own dtype.
    saturated: float = 0.0
    #: The given range and the range that the model takes, if some values are saturated.
    ranges: str = ""


def load_dataset(path: Path, model: ModelFile) -> Dataset:
    """Read an `.npz` file with `inputs` (or `inputs_0`, `inputs_1`, ...) and maybe `labels`.

    Inputs are `[n, ...]` in the model's shape: integers of the model's own dtype, or floats, which
    are quantised with the scale of the model's input. Any other key is refused, because it is most
    likely misspelt. Raises `ModelError`, which names the file and the key, and the index of a value
    that is not finite.
    """
    archive = open_archive(path)
    headers = archive.headers
    names = _input_keys(path, headers, len(model.inputs))
    pairs = list(zip(names, model.inputs, strict=True))
    for name, tensor in pairs:
        _check_fit(path, name, headers[name], tensor)
    _check_rows(path, headers)
    arrays = archive.arrays()
    for name, array in arrays.items():
        require_finite(f"dataset {path}", name, array)
    inputs = tuple(_fit(path, name, arrays[name], tensor) for name, tensor in pairs)
    cut = {name: n for name, tensor in pairs if (n := _saturated(arrays[name], tensor))}
    return Dataset(
        sha256=archive.sha256,
        inputs=inputs,
        labels=arrays.get("labels"),
        saturated=sum(cut.values()) / sum(array.size for array in inputs),
        ranges="; ".join(_ranges(name, arrays[name], t) for name, t in pairs if name in cut),
    )


def _saturated(array: Array, tensor: TensorInfo) -> int:
    if array.dtype.kind != "f":
        return 0
    return saturated(array, tensor.scales[0], tensor.zero_points[0], tensor.dtype)


def _ranges(name: str, array: Array, tensor: TensorInfo) -> str:
    low, high = real_range(tensor.scales[0], tensor.zero_points[0], tensor.dtype)
    return (
        f"{name} has values from {array.min():g} to {array.max():g}, "
        f"the model takes {low:.3g} to {high:.3g}"
    )


def _input_keys(path: Path, arrays: Mapping[str, ArrayHeader], wanted: int) -> list[str]:
    given = {name for name in arrays if name != "labels"}
    numbered = [f"inputs_{index}" for index in range(wanted)]
    if given == set(numbered):
        return numbered
    if wanted == 1 and given == {"inputs"}:
        return ["inputs"]
    expected = "inputs" if wanted == 1 else ", ".join(numbered)
    strange = sorted(one_line(name) for name in given if not re.fullmatch(r"inputs(_\d+)?", name))
    found = ", ".join(sorted(map(one_line, given))) or "none"
    raise ModelError(
        f"dataset {path}: expected the keys {expected} and maybe labels, found {found}"
        + (f"; unknown: {', '.join(strange)}" if strange else ""),
        cure="name the arrays so, one for each model input",
    )


def _check_rows(path: Path, headers: Mapping[str, ArrayHeader]) -> None:
    """Check that all arrays, including the labels, have the same number of rows."""
    labels = headers.get("labels")
    if labels is not None and (labels.ndim == 0 or labels.dtype.kind not in "biuf"):
        what = f"not numbers [n, ...]: {labels.dtype} {labels.shape}"
        raise _key_error(path, "labels", what)
    rows = {name: header.shape[0] for name, header in headers.items()}
    if len(set(rows.values())) != 1 or 0 in rows.values():
        listing = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise ModelError(
            f"dataset {path}: the number of rows must be one and above 0, found {listing}",
            cure="save all arrays with the same first dimension",
        )


def _check_fit(path: Path, name: str, header: ArrayHeader, tensor: TensorInfo) -> None:
    if header.ndim == 0 or header.shape[1:] != tensor.shape[1:]:
        wanted = ", ".join(map(str, ("n", *tensor.shape[1:])))
        raise _key_error(path, name, f"shape {list(header.shape)}, the model takes [{wanted}]")
    if header.dtype.name != tensor.dtype and header.dtype.kind != "f":
        raise _key_error(
            path, name, f"dtype {header.dtype}, the model takes {tensor.dtype} (or floats)"
        )


def _fit(path: Path, name: str, array: Array, tensor: TensorInfo) -> Array:
    if array.dtype.name == tensor.dtype:
        return array
    try:
        return quantise(array, tensor.scales[0], tensor.zero_points[0], tensor.dtype)
    except ModelError as error:
        raise _key_error(path, name, error.what) from error


def _key_error(path: Path, name: str, what: str) -> ModelError:
    return ModelError(
        f"dataset {path}, key {name!r}: {what}",
        cure="save the array in the model's shape, as floats or in the model's dtype",
    )
