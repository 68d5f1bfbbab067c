"""Archives of arrays from users: what they declare is looked at before they are opened."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import ModelError
from bench.measuring.datasets import open_archive
from bench.measuring.inputs import sha256_of
from bench.tflite.model_file import ModelFile, load_quantised
from tests.support.datasets import load_dataset
from tests.support.models.vela_files import small_mlp

LARGE = 64 << 20


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    path = tmp_path / "model.tflite"
    path.write_bytes(small_mlp())
    return load_quantised(path)


def member(path: Path, content: bytes, *, declared: int | None = None) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", content)
        if declared is not None:
            archive.infolist()[0].file_size = declared


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(64)


def test_what_declares_another_shape_is_refused_unopened(tmp_path: Path, model: ModelFile) -> None:
    path, zeros = tmp_path / "data.npz", np.zeros(LARGE, np.int8)
    fits = np.zeros((2, 40), np.int8)
    for arrays, said in (
        ({"inputs": zeros}, r"the model takes \[n, 40\]"),
        ({"inputs": fits, "labels": zeros}, "the number of rows"),
        ({"inputs": fits, "other": zeros}, "unknown|expected the keys"),
    ):
        np.savez_compressed(path, **arrays)
        tracemalloc.start()
        with pytest.raises(ModelError, match=said):
            load_dataset(path, model)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < LARGE / 4


def test_more_than_a_data_set_may_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    array = io.BytesIO()
    np.save(array, np.zeros((2, 40), np.int8))
    member(path, array.getvalue(), declared=5 << 30)
    words = "opens to 5,120 MiB, more than the 4,096 MiB"
    with pytest.raises(ModelError, match=words), open_archive(path):
        pass


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_numpy_never_packs_is_not_unpacked(tmp_path: Path, packing: int) -> None:
    """zipfile unpacks these without a bound."""
    path = tmp_path / "data.npz"
    array = io.BytesIO()
    np.save(array, np.zeros(LARGE, np.int8))
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("inputs.npy", array.getvalue())
    tracemalloc.start()
    words = "packed in a way that NumPy does not use"
    with pytest.raises(ModelError, match=words), open_archive(path):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < LARGE / 4


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500,
        "{'descr': 'O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "",
    ],
)
def test_a_header_that_is_none_is_named(tmp_path: Path, model: ModelFile, text: str) -> None:
    """NumPy reads a header as Python, and raises what Python's tokenizer does."""
    path = tmp_path / "data.npz"
    member(path, header(text))
    with pytest.raises(ModelError, match=r"data\.npz"):
        load_dataset(path, model)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def holes(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("make", [pipe, device, holes])
def test_only_files_of_content_are_read(
    tmp_path: Path, make: Callable[[Path], None], model: ModelFile
) -> None:
    path = tmp_path / "odd"
    make(path)
    with pytest.raises(ModelError, match=r"not a regular file|larger than"):
        load_dataset(path, model)
    with pytest.raises(ModelError, match=r"not a regular file|larger than"):
        load_quantised(path)
    if make is not holes:
        with pytest.raises(ModelError, match="not a regular file"):
            sha256_of(path)
