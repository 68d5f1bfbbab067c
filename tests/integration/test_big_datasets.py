"""Data sets far larger than a worker may become: a run's processes map them, and hold pieces."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.core.units import MIB
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from tests.support.bench_runs import BenchRunner
from tests.support.models.tflite_factory import mlp
from tests.support.private_memory import watching_memory

pytestmark = pytest.mark.slow

#: The size of the large data set in MiB; `make big-data` asks for 1024.
SIZE = int(os.environ.get("BENCH_TEST_DATA_MIB", "128"))
#: More private memory than with a small data set, in any one process: 300 MiB for 1 GiB, and less
#: for less. A piece is worked on in some 20 MiB, whatever the size.
ALLOWED = max(48, 300 * SIZE // 1024) * MIB

WIDTH, CLASSES = 8192, 4
SMALL_ROWS = 20

CONFIG = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["sim", "vela"]

[workloads.mine]
model = "mine.tflite"
dataset = "mine.npz"

[[workloads.mine.limits]]
metric = "accuracy"
min = 0
"""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    #: The most private memory of any one process, in bytes.
    memory: int
    records: dict[str, Record]


def values(rows: int, dtype: str) -> np.ndarray:
    """Inputs `[rows, WIDTH]` in -1..1, or integers of all sizes; each row is another."""
    random = np.random.default_rng(rows)
    if dtype == "int8":
        return random.integers(-128, 128, (rows, WIDTH), dtype=np.int8)
    return random.random((rows, WIDTH), np.float32).astype(dtype) * 2 - 1


def write_large(path: Path, dtype: str, packed: bool, rows: int) -> None:
    """An archive of `rows` rows: the same some rows again and again, so that it is soon written."""
    some = values(SMALL_ROWS, dtype)
    compression = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        with archive.open("inputs.npy", "w", force_zip64=True) as stream:
            header = {"descr": some.dtype.str, "fortran_order": False, "shape": (rows, WIDTH)}
            np.lib.format.write_array_header_1_0(stream, header)
            for _ in range(rows // SMALL_ROWS):
                stream.write(some.tobytes())
        with archive.open("labels.npy", "w") as stream:
            np.save(stream, np.arange(rows) % CLASSES)


def run(directory: Path, dtype: str, rows: int, *, packed: bool = False) -> Run:
    directory.mkdir()
    runner = BenchRunner(directory)
    weights = np.random.default_rng(1).integers(-127, 127, (CLASSES, WIDTH), dtype=np.int8)
    model = mlp([weights], softmax=False, input_scale=1 / 127, input_zero_point=0)
    (directory / "mine.tflite").write_bytes(model)
    write_large(directory / "mine.npz", dtype, packed, rows)
    process = runner.start(runner.write_config(CONFIG), "-n", "1")
    with watching_memory(process.pid) as watch:
        output, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, output[-4000:]
    read = RunDirectory((runner.results / "latest").resolve()).records()
    return Run(watch.largest, {record.cell.id: record for record in read.found})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("small") / "run", "float32", SMALL_ROWS)


@pytest.mark.parametrize(
    ("dtype", "packed"), [("float32", False), ("int8", False), ("float32", True)]
)
def test_a_large_data_set_takes_hardly_more_memory_than_a_small_one(
    dtype: str, packed: bool, small: Run, tmp_path: Path
) -> None:
    rows = SIZE * MIB // (np.dtype(dtype).itemsize * WIDTH) // SMALL_ROWS * SMALL_ROWS
    large = run(tmp_path / "run", dtype, rows, packed=packed)
    more = large.memory - small.memory
    assert more <= ALLOWED, f"{more / MIB:.0f} MiB more than {small.memory / MIB:.0f} MiB"
    assert large.records.keys() == small.records.keys()
    for cell, record in large.records.items():
        assert record.data.samples == rows
        assert record.reference is None or record.reference.mismatches == 0
        assert record.accuracy is not None
        assert record.accuracy.samples == rows
        if dtype == "float32":
            # The same rows again and again, and labels that repeat with them.
            expected = small.records[cell].accuracy
            assert expected is not None
            assert record.accuracy.value == expected.value
