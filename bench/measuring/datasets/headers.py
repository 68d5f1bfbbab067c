"""What a data set's headers must say to fit a model: names, shapes, types, numbers of rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bench.core.errors import ModelError
from bench.core.npz import ArrayHeader
from bench.core.rows import leading_of, row_shape, steps_of
from bench.core.text import one_line
from bench.tflite.model_file import ModelFile, TensorInfo

__all__ = ["LABELS", "key_error", "require_fit"]

#: The key of the labels.
LABELS = "labels"


def require_fit(
    path: Path, headers: Mapping[str, ArrayHeader], model: ModelFile
) -> dict[str, TensorInfo]:
    """The key of each of the inputs of `model`, in order, among `headers`.

    Inputs are `[n, ...]`, or, of a model that keeps state, `[n, steps, ...]` as well. The keys are
    `inputs`, or `inputs_0`, `inputs_1`, ..., and maybe `labels`; any other is refused, because it
    is most likely misspelt. Raises `ModelError`, which names the file `path` and the key, if arrays
    are missing or do not fit.
    """
    keys = _input_keys(path, headers, len(model.inputs))
    found = dict(zip(keys, model.inputs, strict=True))
    for name, tensor in found.items():
        _check_input(path, name, headers[name], tensor)
        if steps_of([tensor], [headers[name]]) is not None and not model.has_state:
            shape = list(headers[name].shape)
            raise key_error(path, name, f"{shape} are streams, but the model keeps no state")
    _check_rows(path, headers)
    _check_steps(path, headers, found)
    return found


def key_error(path: Path, name: str, what: str) -> ModelError:
    """The array `name` of the data set at `path` does not fit, for the reason `what`."""
    return ModelError(
        f"dataset {path}, key {name!r}: {what}",
        cure="save the array in the model's shape, as floats or in the model's dtype",
    )


def _input_keys(path: Path, headers: Mapping[str, ArrayHeader], wanted: int) -> list[str]:
    given = {name for name in headers if name != LABELS}
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
    labels = headers.get(LABELS)
    if labels is not None and (labels.ndim == 0 or labels.dtype.kind not in "biuf"):
        what = f"not numbers [n, ...]: {labels.dtype} {labels.shape}"
        raise key_error(path, LABELS, what)
    rows = {name: header.shape[0] for name, header in headers.items()}
    if len(set(rows.values())) != 1 or 0 in rows.values():
        listing = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise ModelError(
            f"dataset {path}: the number of rows must be one and above 0, found {listing}",
            cure="save all arrays with the same first dimension",
        )


def _check_steps(
    path: Path, headers: Mapping[str, ArrayHeader], inputs: Mapping[str, TensorInfo]
) -> None:
    """Check that all inputs are streams of as many steps, or none is one."""
    steps = {name: steps_of([tensor], [headers[name]]) for name, tensor in inputs.items()}
    if len(set(steps.values())) != 1 or 0 in steps.values():
        listing = ", ".join(f"{name} {count or 'none'}" for name, count in steps.items())
        raise ModelError(
            f"dataset {path}: the number of steps must be one and above 0, found {listing}",
            cure="save all inputs as streams [n, steps, ...] of the same length",
        )


def _check_input(path: Path, name: str, header: ArrayHeader, tensor: TensorInfo) -> None:
    leading = len(leading_of([tensor], [header]))
    if header.ndim == 0 or header.shape[leading:] != row_shape(tensor):
        wanted = ", ".join(map(str, ("n", *tensor.shape[1:])))
        raise key_error(path, name, f"shape {list(header.shape)}, the model takes [{wanted}]")
    if header.dtype.name != tensor.dtype and header.dtype.kind != "f":
        raise key_error(
            path, name, f"dtype {header.dtype}, the model takes {tensor.dtype} (or floats)"
        )
