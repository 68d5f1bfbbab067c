"""Data sets and outputs in pieces: the same figures as of whole arrays, in little memory."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tempfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from mmap import mmap
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core import arrays as core_arrays
from bench.core.arrays import Array, digest_arrays, empty_array, load_arrays, save_arrays
from bench.core.errors import BenchError, ModelError
from bench.core.units import MIB
from bench.measuring.datasets import archive, fit_dataset, open_archive
from bench.measuring.quantisation import dequantise, quantise, saturated
from bench.measuring.reference import compare_outputs
from bench.measuring.scoring.labels import facts_of_labels
from bench.measuring.scoring.scores import Scored, evaluate
from bench.measuring.user_files import check_user_files, survey_user_data
from bench.plan.config import load_config
from bench.plan.metrics import AccuracyMetric as Metric
from bench.tflite.model_file import ModelFile, inspect
from bench.tflite.reference import ReferenceOutputs
from tests.support.datasets import load_dataset
from tests.support.models.tflite_factory import Op, Tensor, mlp, single_operator

SCALE, ZERO_POINT = 0.5, 1


def model_of(directory: Path, dtype: str, *shape: int) -> ModelFile:
    source, result = (Tensor(name, (1, *shape), dtype, SCALE, ZERO_POINT) for name in "xy")
    path = directory / "model.tflite"
    path.write_bytes(single_operator(Op("RELU", (0,), (1,)), [source], [result]))
    return inspect(path)


@contextmanager
def parts_of(elements: int, part_bytes: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "PIECE_ELEMENTS", elements)
        patch.setattr(core_arrays, "PART_BYTES", part_bytes)
        yield


def save(path: Path, *, packed: bool, **members: Any) -> None:
    (np.savez_compressed if packed else np.savez)(path, **members)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.sampled_from(["float16", "float32", "float64", ">f4", "int8", "int16", ">i2", "uint8"]),
    st.sampled_from(["int64", "uint8", "bool", ">i4", "float32"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 40),
)
def test_a_data_set_in_pieces_is_the_whole_one(
    seed: int, rows: int, dtype: str, label_dtype: str, packed: bool, fortran: bool, piece: int
) -> None:
    random = np.random.default_rng(seed)
    given_ = (random.normal(size=(rows, 2, 3)) * 60).astype(dtype)
    labels = random.integers(0, 2, (rows, 2)).astype(label_dtype)
    floats = given_.dtype.kind == "f"
    wanted = "int8" if floats else given_.dtype.name
    with tempfile.TemporaryDirectory() as name, parts_of(piece, piece):
        model = model_of(Path(name), wanted, 2, 3)
        stored = np.asfortranarray if fortran else np.asarray
        path = Path(name, "data.npz")
        save(path, packed=packed, inputs=stored(given_), labels=stored(labels))
        dataset = load_dataset(path, model)
    (inputs,) = dataset.inputs
    whole = quantise(given_, SCALE, ZERO_POINT, wanted) if floats else given_.astype(wanted)
    np.testing.assert_array_equal(inputs, whole)
    assert inputs.dtype == np.dtype(wanted)
    assert dataset.labels is not None
    np.testing.assert_array_equal(dataset.labels, labels)
    assert dataset.labels.dtype == labels.dtype.newbyteorder("=")
    assert dataset.survey.labels == facts_of_labels(labels)
    cut = saturated(given_, SCALE, ZERO_POINT, wanted) if floats else 0
    assert dataset.survey.saturated == cut / given_.size
    if cut:
        assert f"from {given_.min():g} to {given_.max():g}" in dataset.survey.ranges


@pytest.mark.parametrize("metric", Metric)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 30),
    stored=st.sampled_from(["int8", "int16", "float32"]),
    part=st.integers(1, 400),
)
def test_a_metric_of_parts_is_that_of_the_whole(
    metric: Metric, seed: int, rows: int, stored: str, part: int
) -> None:
    random = np.random.default_rng(seed)
    classes = 2 if metric is Metric.AUC else 7
    shape = (rows, 3, 4, classes) if metric is Metric.IOU else (rows, classes)
    # Of few values, so that there are ties.
    outputs = random.integers(-9, 9, shape).astype(stored)
    labels: Array = random.integers(0, classes, shape[:-1])
    if metric is Metric.AUC:
        labels[:2] = 0, 1
    if metric in (Metric.MSE, Metric.MAE):
        labels = random.normal(size=shape)
    real = partial(dequantise, scale=0.37, zero_point=-3)
    scored = Scored(outputs, labels, np.asarray if stored == "float32" else real)
    whole = evaluate(metric, scored)
    with parts_of(1, part):
        in_parts = evaluate(metric, scored)
    if metric in (Metric.MSE, Metric.MAE):
        # Sums of floats, in another order.
        assert in_parts == pytest.approx(whole, rel=1e-13)
    else:
        assert in_parts == whole


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 64), st.booleans())
def test_digests_and_comparisons_in_parts_are_those_of_the_whole(
    seed: int, rows: int, part: int, fortran: bool
) -> None:
    random = np.random.default_rng(seed)
    got = random.integers(-128, 128, (rows, 3, 2), dtype=np.int8)
    want = got + random.integers(-1, 2, got.shape, dtype=np.int8)
    stored = np.asfortranarray(got) if fortran else got
    with parts_of(1, part):
        digest = digest_arrays([stored, want])
        record, _ = compare_outputs([stored], ReferenceOutputs((want,), "somebody"))
    hashed = hashlib.sha256()
    for array in (got, want):
        hashed.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    assert digest == hashed.hexdigest()
    difference = np.abs(got.astype(int) - want.astype(int))
    assert record is not None
    assert record.mismatches == np.count_nonzero(difference)
    assert record.largest == difference.max()
    assert record.elements == difference.size


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["int8", "uint8", "int16", "float32", "int64"]),
            st.lists(st.integers(0, 4), min_size=0, max_size=4),
        ),
        max_size=4,
    )
)
def test_arrays_are_loaded_as_they_were_saved(described: list[tuple[str, list[int]]]) -> None:
    saved = [np.arange(np.prod(shape)).reshape(shape).astype(dtype) for dtype, shape in described]
    with tempfile.TemporaryDirectory() as name:
        save_arrays(Path(name, "some.npz"), saved)
        loaded = load_arrays(Path(name, "some.npz"))
    assert len(loaded) == len(saved)
    for before, after in zip(saved, loaded, strict=True):
        np.testing.assert_array_equal(after, before)
        assert (after.dtype, after.shape) == (before.dtype, before.shape)


def is_mapped(array: Array) -> bool:
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap)


def test_what_lies_ready_is_mapped_where_it_lies(tmp_path: Path) -> None:
    model = model_of(tmp_path, "int16", 3)
    path, directory = tmp_path / "data.npz", tmp_path / "fitted"
    for packed, files in ((False, set()), (True, {"inputs.npy", "labels.npy"})):
        directory.mkdir(exist_ok=True)
        save(path, packed=packed, inputs=np.ones((4, 3), np.int16), labels=np.arange(4))
        fit_dataset(path, model, directory)
        assert {file.name for file in directory.iterdir()} == {"survey.json", *files}
        dataset = load_dataset(path, model)
        assert dataset.labels is not None
        for array in (*dataset.inputs, dataset.labels):
            assert is_mapped(array)
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def wide_model(path: Path) -> ModelFile:
    weights = np.ones((4, 1024), np.int8)
    path.write_bytes(mlp([weights], softmax=False, input_scale=1 / 127, input_zero_point=0))
    return inspect(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", "float64"])
def test_fitting_takes_the_same_little_memory_for_any_size(
    tmp_path: Path, dtype: str, packed: bool
) -> None:
    model, path = wide_model(tmp_path / "model.tflite"), tmp_path / "data.npz"
    for rows in (1024, 4096):
        labels = np.zeros((rows, 128))
        save(path, packed=packed, inputs=np.zeros((rows, 1024), dtype), labels=labels)
        (tmp_path / str(rows)).mkdir()
        tracemalloc.start()
        fit_dataset(path, model, tmp_path / str(rows))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # 10 MiB are what work on one piece of float64 takes.
        assert peak < 1.2 * 10 * MIB


def read_so_far() -> int:
    """Bytes that this process has read from files."""
    rows = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(rows[0].removeprefix("rchar: "))


CONFIG = """
[workloads.mine]
model = "model.tflite"
dataset = "data.npz"
[[workloads.mine.limits]]
metric = "accuracy"
min = 0.1
"""


def test_collecting_reads_headers_and_running_every_value(tmp_path: Path) -> None:
    wide_model(tmp_path / "model.tflite")
    config_path, path = tmp_path / "bench.toml", tmp_path / "data.npz"
    config_path.write_text(CONFIG, encoding="utf-8")
    inputs = np.zeros((4096, 1024), np.float32)
    inputs[4000, 7] = np.nan
    np.savez(path, inputs=inputs, labels=np.zeros(4096, int))
    config = load_config(config_path)
    before = read_so_far()
    check_user_files(config, config_path, ["mine"])
    assert read_so_far() - before < MIB
    with pytest.raises(ModelError, match=r"mine\.dataset: .*inputs\[4000, 7\] is nan"):
        survey_user_data(config, config_path, ["mine"])
    np.savez(path, inputs=inputs[:, :-1], labels=np.zeros(4096, int))
    with pytest.raises(ModelError, match=r"mine\.dataset: .*the model takes \[n, 1024\]"):
        check_user_files(config, config_path, ["mine"])


def archive_with(path: Path, packing: int, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", packing) as written:
        written.writestr("inputs.npy", content)


def array_bytes() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones((4, 3), np.int8))
    return stream.getvalue()


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_without_a_bound_is_not_unpacked(tmp_path: Path, packing: int) -> None:
    path = tmp_path / "data.npz"
    archive_with(path, packing, array_bytes())
    with pytest.raises(ModelError, match=r"data\.npz: inputs\.npy: it is packed in a way"):
        load_dataset(path, model_of(tmp_path, "int8", 3))


def test_values_that_were_damaged_are_noticed_by_their_checksum(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    archive_with(path, zipfile.ZIP_STORED, array_bytes())
    content = path.read_bytes()
    path.write_bytes(content.replace(bytes([1] * 12), bytes([1] * 11 + [2])))
    with pytest.raises(ModelError, match=r"cannot read the dataset .*data\.npz: Bad CRC"):
        load_dataset(path, model_of(tmp_path, "int8", 3))


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_array_that_declares_more_than_it_has_is_refused_by_its_header(
    tmp_path: Path, packing: int
) -> None:
    path = tmp_path / "data.npz"
    archive_with(path, packing, array_bytes().replace(b"(4, 3)", b"(9, 3)"))
    with (
        pytest.raises(ModelError, match="27 bytes are declared, it has 12"),
        open_archive(path),
    ):
        pass


def test_a_directory_of_many_arrays_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as written:
        for number in range(400):
            written.writestr(f"{number}{'n' * 4000}", b"")
    words = "directory is too long"
    with pytest.raises(ModelError, match=words), open_archive(path):
        pass


def test_large_results_are_in_a_file_and_no_room_for_it_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large, small = (65 * MIB,), (4, 3)
    assert is_mapped(empty_array(large, "int8"))
    assert not is_mapped(empty_array(small, "int8"))

    def full(descriptor: int, start: int, size: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(BenchError, match="no room for 65 MiB of outputs: No space left") as caught:
        empty_array(large, "int8")
    assert "TMPDIR" in caught.value.cure
