"""A data set fitted to a model: every array in a file from which it is mapped.

An array that is stored unpacked, in the type that is wanted, is mapped where it lies in the data
set. Any other is converted once, a piece at a time, into a file of its own. So test sets are never
in a worker's memory, and all workers share the pages of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.core.arrays import Array, save_array
from bench.core.errors import ModelError
from bench.core.npz import Member, map_array
from bench.measuring.datasets.archive import ArrayArchive, open_archive
from bench.measuring.datasets.headers import LABELS, key_error, require_fit
from bench.measuring.datasets.survey import Survey, survey
from bench.measuring.quantisation import quantise
from bench.tflite.model_file import ModelFile, TensorInfo

__all__ = ["Dataset", "fit_dataset", "fitted_dataset", "survey_dataset"]

_SURVEY = "survey.json"


@dataclass(frozen=True)
class Dataset:
    """Inputs ready for one model, and the right answers; the arrays are mapped, and read-only.

    `inputs` has one array `[n, ...]` or `[n, steps, ...]` for each model input, in the model's
    dtype; `labels` is `[n, ...]` or None.
    """

    inputs: tuple[Array, ...]
    labels: Array | None
    survey: Survey


def survey_dataset(path: Path, model: ModelFile) -> Survey:
    """Check the data set at `path` against `model`, headers and values; keep nothing.

    It is an `.npz` file with `inputs` (or `inputs_0`, `inputs_1`, ...) and maybe `labels`. Inputs
    are `[n, ...]` in the model's shape, or `[n, steps, ...]` for a model that keeps state. They are
    integers of the model's own dtype, or floats, which are quantised with the scale of the model's
    input. Raises `ModelError`, which names the file and the key, and the index of a value that is
    not finite.
    """
    with open_archive(path) as archive:
        return survey(archive, require_fit(path, archive.headers, model))


def fit_dataset(path: Path, model: ModelFile, directory: Path) -> None:
    """Write into `directory` what `fitted_dataset` needs besides the data set itself.

    Raises `ModelError` like `survey_dataset`, and `OSError` if the disk fails.
    """
    with open_archive(path) as archive:
        inputs = require_fit(path, archive.headers, model)
        found = survey(archive, inputs)
        for name, dtype in _wanted(archive.members, inputs).items():
            if _place(archive.members[name], dtype) is None:
                _convert(archive, name, inputs.get(name), directory / f"{name}.npy")
    (directory / _SURVEY).write_text(found.model_dump_json(indent=1), encoding="utf-8")


def fitted_dataset(path: Path, model: ModelFile, file: Callable[[str], Path]) -> Dataset:
    """The data set at `path`, fitted to `model`.

    `file` gives the files that `fit_dataset` wrote, by their names. Neither they nor the data set
    may change while the arrays are used.
    """
    with open_archive(path) as archive:
        members = archive.members
        inputs = require_fit(path, archive.headers, model)
    arrays = {
        name: _mapped(path, members[name], dtype, partial(file, f"{name}.npy"))
        for name, dtype in _wanted(members, inputs).items()
    }
    return Dataset(
        inputs=tuple(arrays[name] for name in inputs),
        labels=arrays.get(LABELS),
        survey=Survey.model_validate_json(file(_SURVEY).read_text(encoding="utf-8")),
    )


def _wanted(
    members: Mapping[str, Member], inputs: Mapping[str, TensorInfo]
) -> dict[str, np.dtype[np.generic]]:
    """The type that each array must have in the end; that of labels is their own."""
    wanted = {name: np.dtype(tensor.dtype) for name, tensor in inputs.items()}
    if LABELS in members:
        wanted[LABELS] = members[LABELS].header.dtype.newbyteorder("=")
    return wanted


def _place(member: Member, wanted: np.dtype[np.generic]) -> int | None:
    """Where the array lies in the data set, ready to be used; None if it has to be converted."""
    return member.place if member.header.dtype == wanted else None


def _mapped(
    path: Path, member: Member, dtype: np.dtype[np.generic], converted: Callable[[], Path]
) -> Array:
    place = _place(member, dtype)
    if place is not None:
        return map_array(path, place, member.header)
    if not member.header.size:
        return np.empty(member.header.shape, dtype)
    array: Array = np.load(converted(), mmap_mode="r").view(np.ndarray)
    return array


def _convert(archive: ArrayArchive, name: str, tensor: TensorInfo | None, path: Path) -> None:
    """Write an input as the integers of its tensor, or labels unpacked, in the given order."""
    header = archive.headers[name]
    dtype = header.dtype.newbyteorder("=") if tensor is None else np.dtype(tensor.dtype)

    def converted(piece: Array) -> Array:
        if tensor is None or header.dtype.name == tensor.dtype:
            return piece
        try:
            return quantise(piece, tensor.scales[0], tensor.zero_points[0], tensor.dtype)
        except ModelError as error:
            raise key_error(archive.path, name, error.what) from error

    pieces = map(converted, archive.pieces(name))
    save_array(path, header.shape, dtype, pieces, fortran=header.fortran)
