"""The process that keeps Vela imported: the same compiles, and nothing of it is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.compiler import VelaOptions, VelaServer, compile_model
from bench.compiler.running import run_alone
from bench.core.errors import CompilerError
from bench.core.processes import Bounds
from targets.artefact.debug_database import read_database
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.bench_runs import ROOT
from tests.support.models.deadly import tile
from tests.support.models.tflite_factory import mlp

OPTIONS = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM)

#: A bench that compiles the model `argv[1]` again and again, beginning with the first whole one.
CLIENT = """
import itertools, sys
from pathlib import Path
from bench.compiler import VelaOptions, VelaServer, compile_model
options = VelaOptions(accelerator=128, memory_mode="Shared_Sram")
with VelaServer() as server:
    for number in itertools.count():
        compile_model(Path(sys.argv[1]), options, Path(sys.argv[2], str(number)), runner=server)
        print(server.pid, flush=True)
        if "idle" in sys.argv:
            input()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(2)
    shapes = ((128, 784), (64, 128), (10, 64))
    layers = [generator.integers(-127, 128, shape, dtype=np.int8) for shape in shapes]
    path = tmp_path_factory.mktemp("model") / "mnist like.tflite"
    path.write_bytes(mlp(layers, softmax=True))
    return path


@pytest.fixture
def server() -> Iterator[VelaServer]:
    with VelaServer() as server:
        yield server


def files(directory: Path) -> dict[str, bytes]:
    """What a compile wrote, by name; Vela's words name the directory it worked in.

    Of the debug database, what it says: the order of its columns depends on where the memories of
    Vela's model come to lie in the heap.
    """
    scratch = re.compile(re.escape(f"{directory}/.vela-".encode()) + rb"\w+")
    return {
        path.name: repr(read_database(path)).encode()
        if path.suffix == ".xml"
        else scratch.sub(b"WORK", path.read_bytes())
        for path in directory.iterdir()
    }


def eventually(condition: Callable[[], object]) -> bool:
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_it_writes_what_a_process_of_its_own_writes(
    server: VelaServer, model: Path, tmp_path: Path
) -> None:
    # Twice the same: what one fork does must not show in the next.
    for number, (macs, mode) in enumerate(
        [
            (Accelerator.U55_256, MemoryMode.SRAM_ONLY),
            (Accelerator.U55_32, MemoryMode.SHARED_SRAM),
            (Accelerator.U55_256, MemoryMode.SRAM_ONLY),
        ]
    ):
        options = VelaOptions(accelerator=macs, memory_mode=mode)
        served, alone = tmp_path / f"served{number}", tmp_path / f"alone{number}"
        assert compile_model(model, options, served, runner=server) == compile_model(
            model, options, alone, runner=run_alone
        )
        assert files(served) == files(alone)
        assert len(files(served)) == 5


def test_failures_read_alike_and_the_process_survives_them(
    server: VelaServer, model: Path, tmp_path: Path
) -> None:
    compile_model(model, OPTIONS, tmp_path / "first", runner=server)
    pid = server.pid
    damaged = tmp_path / "truncated.tflite"
    damaged.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    strange = tmp_path / "strange.tflite"
    strange.write_text("hello, this is no model at all", encoding="utf-8")
    for path in (damaged, strange):
        told = []
        for runner in (server, run_alone):
            out = tmp_path / "out"
            with pytest.raises(CompilerError) as caught:
                compile_model(path, OPTIONS, out, runner=runner)
            assert list(out.iterdir()) == []
            # What precedes the command line, which names the scratch directory.
            told.append((str(caught.value).split("\n")[0], "No networks" in str(caught.value)))
        assert told[0] == told[1]
    again = compile_model(model, OPTIONS, tmp_path / "again", runner=server)
    assert server.pid == pid
    assert files(tmp_path / "first") == files(tmp_path / "again")
    assert again.report.npu_operators > 0


def test_it_has_one_thread_as_forking_demands(
    server: VelaServer, model: Path, tmp_path: Path
) -> None:
    compile_model(model, OPTIONS, tmp_path, runner=server)
    assert server.pid is not None
    assert psutil.Process(server.pid).num_threads() == 1


def test_a_compile_that_takes_too_long_is_stopped_and_the_next_one_works(
    server: VelaServer, model: Path, tmp_path: Path
) -> None:
    compile_model(model, OPTIONS, tmp_path / "first", runner=server)
    assert server.pid is not None
    process = psutil.Process(server.pid)
    with pytest.raises(CompilerError, match=r"did not finish within 0\.001 s"):
        compile_model(model, OPTIONS, tmp_path / "late", bounds=Bounds(0.001), runner=server)
    assert server.pid is None
    assert not process.is_running()
    assert list((tmp_path / "late").iterdir()) == []
    compile_model(model, OPTIONS, tmp_path / "next", runner=server)
    assert files(tmp_path / "next") == files(tmp_path / "first")


def test_a_compile_that_wants_too_much_memory_is_ended_and_the_next_one_works(
    server: VelaServer, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tile.tflite"
    path.write_bytes(tile(80_000))
    assert path.stat().st_size < 1000
    for runner in (server, run_alone):
        out = tmp_path / "out"
        with pytest.raises(CompilerError, match="wanted more than the 300 MiB of memory") as caught:
            compile_model(path, OPTIONS, out, bounds=Bounds(300, 300 << 20), runner=runner)
        assert "vela.memory_mib" in caught.value.cure
        assert list(out.iterdir()) == []
    compile_model(model, OPTIONS, tmp_path / "next", runner=server)
    # What a network of normal size needs is far below the bound.
    compile_model(model, OPTIONS, tmp_path / "low", bounds=Bounds(300, 300 << 20), runner=server)
    assert files(tmp_path / "next") == files(tmp_path / "low")


def test_a_compile_does_not_notice_that_the_process_died(
    server: VelaServer, model: Path, tmp_path: Path
) -> None:
    compile_model(model, OPTIONS, tmp_path / "first", runner=server)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    compile_model(model, OPTIONS, tmp_path / "second", runner=server)
    assert files(tmp_path / "first") == files(tmp_path / "second")


@pytest.mark.parametrize("moment", ["compiling", "idle"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_bench_is_the_end_of_its_compiles(
    model: Path, tmp_path: Path, moment: str, end: signal.Signals
) -> None:
    bench = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(model), str(tmp_path), moment],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with bench:
        assert bench.stdout is not None
        server = psutil.Process(int(bench.stdout.readline()))
        started = [server]
        if moment == "compiling":
            # Stopped, it is certain to be there when its bench ends.
            assert eventually(server.children)
            [compiling] = server.children()
            compiling.suspend()
            started.append(compiling)
        bench.send_signal(end)
        assert bench.wait(30) != 0
    _, alive = psutil.wait_procs(started, timeout=30)
    for process in alive:
        process.kill()
    assert not alive
    if end is signal.SIGINT:
        # Ctrl-C leaves the time to tidy up.
        assert not list(tmp_path.rglob(".vela-*"))
