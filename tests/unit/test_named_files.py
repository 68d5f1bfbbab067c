"""Whatever a user names as a file: one clear error, at once, and for no memory."""

from __future__ import annotations

import io
import os
import resource
import signal
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from bench.compiler import VelaOptions, beside_the_bench
from bench.core.errors import BenchError, ModelError
from bench.measuring.inputs import sha256_of
from bench.plan.config import load_config
from bench.tflite.model_file import inspect, load_quantised
from targets.artefact import load_artefact
from targets.artefact.debug_database import read_database
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.fvp.axf import Programs
from targets.fvp.local import LocalLauncher
from targets.virtual.errors import ParameterError
from targets.virtual.options import parse_options
from tests.support.datasets import load_dataset
from tests.support.models.tflite_factory import mlp

GIB = 1 << 30


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """What hangs or swells fails its test, and takes neither the others nor the machine along."""

    def late(number: int, frame: object) -> NoReturn:
        pytest.fail("it takes longer than 20 s")

    status = Path("/proc/self/status").read_text(encoding="utf-8")
    used = next(int(row.split()[1]) << 10 for row in status.splitlines() if "VmData" in row)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + GIB, hard))
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def vela_options(path: Path) -> None:
    options = VelaOptions(
        accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM, config_file=path
    )
    options.check(beside_the_bench())


def vela_fingerprint(path: Path) -> None:
    VelaOptions(
        accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM, config_file=path
    ).config_sha256(beside_the_bench())


def dataset(path: Path) -> None:
    model = path.with_name("model")
    model.write_bytes(mlp([np.ones((4, 16), np.int8)]))
    load_dataset(path, inspect(model))


def labgrid_environment(path: Path) -> None:
    pytest.importorskip("labgrid", reason="labgrid is not installed: its environments NOT tested")
    from targets.mps3.labgrid.ports import LabgridPorts
    from targets.settings.mps3 import Mps3Settings

    LabgridPorts(Mps3Settings(labgrid_environment=path))


READERS: dict[str, Callable[[Path], object]] = {
    "model": load_quantised,
    "dataset": dataset,
    "configuration": load_config,
    "Vela's configuration": vela_options,
    "Vela's configuration, hashed": vela_fingerprint,
    "metric": sha256_of,
    "compiled model": load_artefact,
    "debug database": read_database,
    "labgrid environment": labgrid_environment,
    "program": lambda path: Programs(str(path)).identity(),
    "programs": lambda path: Programs(str(path.with_name("{macs}"))).identity(),
    "FVP": lambda path: LocalLauncher((str(path),)).identity(),
    "virtual FVP's parameters": lambda path: parse_options(["--config-file", str(path)]),
}
#: Readers of an archive or a program, whose size has no bound.
UNBOUNDED = {"metric", "FVP"}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "socket", "huge", "gone"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, reader: str, kind: str) -> None:
    if (kind, reader in UNBOUNDED) == ("huge", True):
        pytest.skip("files of any size are hashed in pieces")
    path = tmp_path / "named.npz"
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case "directory":
                path.mkdir()
            case "socket":
                listener.bind(str(path))
            case "huge":
                path.touch()
                # Takes no room on the disk.
                os.truncate(path, 1 << 40)
        with pytest.raises((BenchError, ParameterError)) as caught:
            READERS[reader](path)
    said = str(caught.value)
    assert any(name in said for name in ("named", "{macs}", "/dev/zero"))
    assert "Errno" not in said


def bomb(name: str, size: int, copies: int = 1) -> bytes:
    """A zip of `copies` members of `size` zero bytes each, all packed in the same few bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = piece * (size >> 24) + packer.flush()
    output, directory = io.BytesIO(), b""
    for number in range(copies):
        label = f"{name}_{number}.npy" if copies > 1 else f"{name}.npy"
        sizes = struct.pack("<III", 0, len(packed), size) + struct.pack("<HH", len(label), 0)
        head = struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes
        entry = struct.pack("<HHHII", 0, 0, 0, 0, 0 if number else output.tell())
        directory += b"PK\1\2" + struct.pack("<H", 20) + head + entry + label.encode()
        if number == 0:
            output.write(b"PK\3\4" + head + label.encode() + packed)
    start = output.tell()
    output.write(directory)
    numbers = struct.pack("<HHHHIIH", 0, 0, copies, copies, len(directory), start, 0)
    output.write(b"PK\5\6" + numbers)
    return output.getvalue()


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    path.write_bytes(bomb("inputs", 3 << 30, copies=2))
    assert path.stat().st_size < 8 << 20
    with pytest.raises(ModelError, match=r"bomb\.npz: it opens to 6,144 MiB, more than"):
        dataset(path)
    path.write_bytes(bomb("inputs", 3 << 30, copies=1))
    with pytest.raises(ModelError, match=r"cannot read the dataset .*bomb\.npz"):
        dataset(path)


def test_an_array_that_claims_more_than_it_has_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "lie.npz"
    np.savez(path, inputs=np.zeros((10, 16), np.int8))
    path.write_bytes(path.read_bytes().replace(b"(10, 16)", b"(10**9, ", 1))
    with pytest.raises(ModelError, match="cannot read the dataset"):
        dataset(path)
    header = b"{'descr': '|i1', 'fortran_order': False, 'shape': (1000000000000, 16), }\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(160)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs.npy", content)
    with pytest.raises(ModelError, match="cannot read the dataset"):
        dataset(path)
