"""One watched process: whatever it does, it ends, its words are kept, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.core.errors import PrerequisiteError, TargetError
from targets.fvp.launch import Ending, Launch, Limits, Outcome
from targets.fvp.local import LocalLauncher


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a shell script under limits."""

    def run(
        script: str, limits: Limits | None = None, consume: Callable[[bytes], bool] | None = None
    ) -> Outcome:
        (tmp_path / "work").mkdir(exist_ok=True)
        launch = Launch(
            ("-c", script), tmp_path / "work", tmp_path / "log", limits or Limits(seconds=20)
        )
        return LocalLauncher(("/bin/sh",)).run(launch, consume or (lambda data: False))

    return run


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    return state != "Z"


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_both_streams_arrive_in_order(start: Callable[..., Outcome], tmp_path: Path) -> None:
    seen = bytearray()

    def take(data: bytes) -> bool:
        seen.extend(data)
        return False

    outcome = start("pwd; echo two >&2; echo three; exit 7", consume=take)
    expected = f"{tmp_path / 'work'}\ntwo\nthree\n".encode()
    assert (outcome.ending, outcome.status) == (Ending.EXITED, 7)
    assert bytes(seen) == expected == (tmp_path / "log").read_bytes()
    assert outcome.excerpt.endswith("two\nthree\n")


def test_a_signal_is_told(start: Callable[..., Outcome]) -> None:
    assert start("kill -SEGV $$").status == -signal.SIGSEGV


def test_nothing_can_wait_for_input(start: Callable[..., Outcome]) -> None:
    assert start("cat; echo done").head == b"done\n"


@pytest.mark.parametrize(
    "script",
    [
        "sleep 60",
        "sleep 60 & wait",
        "exec >/dev/null 2>&1; sleep 60",
    ],
)
def test_a_silent_process_is_killed_in_time(start: Callable[..., Outcome], script: str) -> None:
    outcome = start(f"echo $$; {script}", Limits(seconds=0.5))
    assert outcome.ending is Ending.TIMED_OUT
    assert outcome.status is None
    assert outcome.seconds < 30
    assert gone(int(outcome.head))


def test_descendants_die_with_it(start: Callable[..., Outcome]) -> None:
    outcome = start("sleep 60 & echo $!")
    assert outcome.ending is Ending.EXITED
    assert outcome.seconds < 30
    assert gone(int(outcome.head))


def test_a_talkative_process_is_killed_in_time(start: Callable[..., Outcome]) -> None:
    assert start("yes", Limits(seconds=0.5, output_bytes=1 << 40)).ending is Ending.TIMED_OUT


def test_a_flood_is_stopped_and_its_edges_are_kept(
    start: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = start("echo first; yes", Limits(20, output_bytes=5_000_000, log_bytes=100_000))
    log = (tmp_path / "log").read_bytes()
    assert outcome.ending is Ending.FLOODED
    assert 5_000_000 < outcome.output_bytes < 6_000_000
    assert len(log) < 120_000
    assert log.startswith(b"first\ny\n")
    assert b"bytes left out by the bench" in log
    assert log.endswith(outcome.tail)


def test_one_that_goes_on_after_its_answer_is_stopped(start: Callable[..., Outcome]) -> None:
    outcome = start(
        "echo answer; sleep 60", Limits(20, linger_seconds=0.2), lambda data: b"answer" in data
    )
    assert outcome.ending is Ending.LINGERED
    assert outcome.seconds < 30


def test_an_exception_of_the_consumer_ends_it(
    start: Callable[..., Outcome], tmp_path: Path
) -> None:
    def refuse(data: bytes) -> bool:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        start("echo $$; sleep 60", consume=refuse)
    assert gone(int((tmp_path / "log").read_text(encoding="utf-8")))


def test_what_cannot_be_started_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "FVP").write_text("no executable\n", encoding="utf-8")
    (tmp_path / "FVP").chmod(0o755)
    launch = Launch((), tmp_path, tmp_path / "log", Limits(1))
    # Without the guard in front, which would start and complain itself.
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PrerequisiteError, match="FVP cannot be started: Exec format error"):
        LocalLauncher((str(tmp_path / "FVP"),)).run(launch, lambda data: False)
    with pytest.raises(PrerequisiteError, match="cannot be read"):
        LocalLauncher((str(tmp_path / "missing"),)).identity()


CHILD = """
import signal
import sys
from pathlib import Path
from targets.fvp.launch import Launch, Limits
from targets.fvp.local import LocalLauncher
# A shell without job control lets its children ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
here = Path(sys.argv[1])
launch = Launch(("-c", "echo $$; sleep 60"), here, here / "log", Limits(60))
LocalLauncher(("/bin/sh",)).run(launch, lambda data: False)
"""


@pytest.mark.parametrize("back", [False, True], ids=["replaced", "put back"])
def test_an_executable_that_is_replaced_while_it_is_used_measures_nothing(
    tmp_path: Path, back: bool
) -> None:
    executable = tmp_path / "FVP"
    executable.write_text("#!/bin/sh\necho one\n", encoding="utf-8")
    executable.chmod(0o755)
    launcher = LocalLauncher((str(executable),))
    identity = launcher.identity()
    launch = Launch((), tmp_path, tmp_path / "log", Limits(seconds=20))
    assert launcher.run(launch, lambda data: False).excerpt == "one\n"
    assert launcher.identity() == identity
    original, stat = executable.read_bytes(), executable.stat()
    executable.write_text("#!/bin/sh\necho two\n", encoding="utf-8")
    if back:
        executable.write_bytes(original)
        os.utime(executable, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(TargetError, match="FVP was changed while the bench was running"):
        launcher.run(launch, lambda data: False)
    with pytest.raises(TargetError, match="was changed"):
        launcher.identity()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_the_bench(how: signal.Signals, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    bench = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], cwd=root, stderr=subprocess.DEVNULL
    )
    log = tmp_path / "log"
    try:
        deadline = time.monotonic() + 20
        while not (log.exists() and log.read_text(encoding="utf-8").endswith("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        bench.send_signal(how)
        bench.wait(10)
    finally:
        bench.kill()
    assert gone(int(log.read_text(encoding="utf-8")))
