"""A Docker engine and a small image for tests; made without any registry."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.engine import EngineUnavailableError, RunningEngine, running_engine

__all__ = ["SHELL_IMAGE", "docker_engine", "shell_archive", "shell_image"]

SHELL_IMAGE = "ethos-u55-bench-test-shell"
_TOOLS = ("sh", "cat", "head", "id", "ls", "sleep", "uname")


@pytest.fixture(scope="module")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """The engine; skips with the reason where there is none to be had."""
    try:
        with running_engine() as engine, pytest.MonkeyPatch.context() as patch:
            for key, value in engine.environment.items():
                patch.setenv(key, value)
            yield engine
    except EngineUnavailableError as error:
        pytest.skip(f"{error}: containers NOT tested; install docker.io, or start its daemon")


@pytest.fixture(scope="module")
def shell_image(docker_engine: RunningEngine) -> Iterator[str]:
    """An image that holds a shell of this machine and what it needs, some MB."""
    subprocess.run(
        ["docker", "import", "-", SHELL_IMAGE],
        input=shell_archive(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    yield SHELL_IMAGE
    docker_engine.docker("rmi", "--force", SHELL_IMAGE)


def shell_archive() -> bytes:
    """A tar file with some tools and their libraries."""
    files: dict[str, str] = {}
    for tool in _TOOLS:
        path = shutil.which(tool)
        if path is None:
            raise AssertionError(f"this machine has no {tool}")
        told = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        files[f"/bin/{tool}"] = path
        files |= {library: library for library in re.findall(r"(/\S+) \(0x", told)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for directory in ("tmp", "work", "proc", "sys", "dev", "etc"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
            archive.addfile(entry)
        for inside, file in sorted(files.items()):
            entry = tarfile.TarInfo(inside.lstrip("/"))
            content = Path(file).resolve().read_bytes()
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
