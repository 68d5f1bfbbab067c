"""The builder's client against processes that die, hang, babble, or lose their client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.core.errors import BuildError, ModelError
from bench.core.processes import Bounds
from models.messages import BUILD_FILE, FLOAT_FILE, MODEL_FILE, BuildRequest, Progress, StoredData
from models.service import VariantBuilder
from models.spec import PruneSpec, TrainSpec
from tests.support.models.recipes import built_in, stored_mnist

ROOT = Path(__file__).resolve().parents[2]
#: Long enough that only a test's own doing can end it. Its data is in `stored`.
LONG = BuildRequest(
    workload="mnist_fc",
    variant="base",
    origin=built_in(),
    spec=TrainSpec(epochs=1000),
    data=StoredData(name="none", sha256="", files={}),
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredData:
    return stored_mnist(tmp_path_factory.mktemp("data"))


@pytest.fixture
def long(stored: StoredData) -> BuildRequest:
    return LONG.model_copy(update={"data": stored})


def nothing(progress: Progress) -> None:
    pass


def script(code: str) -> tuple[str, ...]:
    """A command that stands in for the builder; its `client` is the connection."""
    start = "import sys\nfrom multiprocessing.connection import Connection\n"
    client = "client = Connection(int(sys.argv[-1])) if len(sys.argv) > 1 else None\n"
    return (sys.executable, "-c", start + client + textwrap.dedent(code))


def is_running(pid: int) -> bool:
    """Whether `pid` still does something; a zombie nobody reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.slow
def test_a_killed_builder_is_an_error_with_its_log_and_the_next_build_gets_a_new_one(
    tmp_path: Path, long: BuildRequest
) -> None:
    pids: list[int] = []

    def kill_in_training(progress: Progress) -> None:
        if progress.text.startswith("epoch"):
            assert builder.pid is not None
            pids.append(builder.pid)
            os.kill(builder.pid, signal.SIGKILL)

    with VariantBuilder() as builder:
        with pytest.raises(BuildError) as caught:
            builder.build(long, tmp_path, kill_in_training)
        assert "mnist_fc-base" in str(caught.value)
        assert "ended with SIGKILL" in str(caught.value)
        assert "builder's log" in str(caught.value)
        assert not is_running(pids[0])
        assert list(tmp_path.iterdir()) == []
        assert builder.pid is None

        # An order that fails in the builder leaves the builder fit for another.
        orphan = BuildRequest(
            workload="mnist_fc",
            variant="pruned",
            origin=built_in(),
            spec=PruneSpec(),
            data=long.data,
            parent_dir=tmp_path / "absent",
        )
        with pytest.raises(ModelError, match=r"absent.*float\.npz"):
            builder.build(orphan, tmp_path, nothing)
        second = builder.pid
        assert second is not None
        assert second != pids[0]
        unknown = orphan.model_copy(update={"origin": built_in("mnist_rnn")})
        with pytest.raises(BuildError, match="mnist_rnn"):
            builder.build(unknown, tmp_path, nothing)
        hasty = orphan.model_copy(update={"spec": PruneSpec(batch_size=4000, epochs=0.1)})
        with pytest.raises(BuildError, match="at least 2 optimiser steps"):
            builder.build(hasty, tmp_path, nothing)
        assert builder.pid == second
    assert not is_running(second)


def test_a_build_leaves_its_three_files_and_nothing_else_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: BuildRequest
) -> None:
    temporary, product = tmp_path / "tmp", tmp_path / "product"
    temporary.mkdir()
    product.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    short = long.model_copy(update={"spec": TrainSpec(epochs=1, batch_size=1000)})
    with VariantBuilder() as builder:
        builder.build(short, product, nothing)
    assert sorted(path.name for path in product.iterdir()) == sorted(
        [BUILD_FILE, FLOAT_FILE, MODEL_FILE]
    )
    # TensorFlow writes a source file for each function it traces.
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [False, True], ids=["busy", "stopped"])
def test_a_client_killed_in_a_build_takes_the_builder_along(
    tmp_path: Path, stopped: bool, long: BuildRequest
) -> None:
    client = subprocess.Popen(
        script(
            f"""
            from pathlib import Path
            from models.messages import BuildRequest
            from models.service import VariantBuilder

            def tell(progress):
                print(builder.pid, progress.text, flush=True)

            with VariantBuilder() as builder:
                request = BuildRequest.model_validate_json({long.model_dump_json()!r})
                builder.build(request, Path({str(tmp_path)!r}), tell)
            """
        ),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert client.stdout is not None
    with client:
        for line in client.stdout:
            pid, _, text = line.partition(" ")
            if text.startswith("epoch"):
                break
        if stopped:
            # Whoever must do something itself to end cannot.
            os.kill(int(pid), signal.SIGSTOP)
        client.kill()
    assert wait_until(lambda: not is_running(int(pid)))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("sys.exit('no such library')", ["exit status 1", "| no such library"]),
        (
            "client.recv_bytes(); client.send_bytes(b'Traceback: hello')",
            ["not a message", "Traceback: hello"],
        ),
        ('client.recv_bytes(); client.send_bytes(b\'{"event":"done"}\')', ["not a message"]),
        (
            "client.recv_bytes()\n"
            'client.send_bytes(b\'{"event":"progress","text":"x","fraction":7}\')',
            ["not a message"],
        ),
        (r"client.recv_bytes(); client.send_bytes(b'\xff\xfe')", ["not a message"]),
        ("import os; os.kill(os.getpid(), 11)", ["ended with SIGSEGV", "log is empty"]),
        ("client.recv_bytes(); client.close(); import time; time.sleep(60)", ["closed its conn"]),
        (
            "client.recv_bytes(); blocks = []\nwhile True: blocks.append(bytearray(1 << 24))",
            ["wanted more memory than the 512 MiB", "| MemoryError"],
        ),
    ],
)
def test_nonsense_from_the_builder_is_an_error_that_shows_it(
    tmp_path: Path, code: str, expected: list[str], long: BuildRequest
) -> None:
    with (
        VariantBuilder(command=script(code), bounds=Bounds(60, 512 << 20)) as builder,
        pytest.raises(BuildError) as caught,
    ):
        builder.build(long, tmp_path, nothing)
    for text in ["building mnist_fc-base", *expected]:
        assert text in str(caught.value)


def test_a_builder_that_hangs_is_killed_in_time_though_it_ignores_signals(
    tmp_path: Path, long: BuildRequest
) -> None:
    hang = script(
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("stuck in a loop", file=sys.stderr, flush=True)
        client.send_bytes(b'{"event":"progress","text":"epoch 1/4","fraction":0.1}')
        time.sleep(600)
        """
    )
    seen: list[tuple[str, int | None]] = []
    start = time.monotonic()
    with (
        VariantBuilder(command=hang, bounds=Bounds(5)) as builder,
        pytest.raises(BuildError, match="did not finish within 5 s") as caught,
    ):
        builder.build(long, tmp_path, lambda p: seen.append((p.text, builder.pid)))
    assert time.monotonic() - start < 60
    assert "| stuck in a loop" in str(caught.value)
    [(text, pid)] = seen
    assert text == "epoch 1/4"
    assert pid is not None
    assert not is_running(pid)


def test_ctrl_c_kills_and_reaps_the_builder(tmp_path: Path, long: BuildRequest) -> None:
    progress = """b'{"event":"progress","text":"x","fraction":0}'"""
    talk = script(f"import time; client.send_bytes({progress}); time.sleep(600)")
    pids: list[int | None] = []

    def interrupt(progress: Progress) -> None:
        pids.append(builder.pid)
        raise KeyboardInterrupt

    with VariantBuilder(command=talk) as builder, pytest.raises(KeyboardInterrupt):
        builder.build(long, tmp_path, interrupt)
    assert not Path(f"/proc/{pids[0]}").exists()


def test_a_build_that_nobody_waits_for_can_be_stopped_from_another_thread(
    tmp_path: Path, long: BuildRequest
) -> None:
    progress = """b'{"event":"progress","text":"x","fraction":0}'"""
    talk = script(f"import time; client.send_bytes({progress}); time.sleep(600)")
    building = threading.Event()
    with VariantBuilder(command=talk) as builder, ThreadPoolExecutor(1) as thread:
        built = thread.submit(builder.build, long, tmp_path, lambda progress: building.set())
        assert building.wait(60)
        pid = builder.pid
        assert pid is not None
        builder.stop()
        with pytest.raises(BuildError, match="ended with SIGKILL"):
            built.result(60)
        assert not is_running(pid)
        with pytest.raises(BuildError, match="the run is ending"):
            builder.build(long, tmp_path, nothing)
        assert builder.pid is None
    assert list(tmp_path.iterdir()) == []
