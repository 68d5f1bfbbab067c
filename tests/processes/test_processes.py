"""Processes of our own: what they may take, how they end, and that nothing of them is left."""

from __future__ import annotations

import ast
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.core.processes import (
    Bounds,
    TimedOutError,
    ended_words,
    guarded,
    ran_out_of_memory,
    run_to_end,
)
from bench.core.processes.servers import End, LostError, Server

ROOT = Path(__file__).resolve().parents[2]
#: Far more than anything here takes on a busy machine.
LONG_S = 60.0


def alive(pid: int) -> bool:
    """Whether `pid` still does something; a zombie nobody reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def works(pid: int) -> bool:
    """Whether `pid` can still write somewhere: the kernel closes the files of a process last."""
    try:
        return alive(pid) and any(Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def test_words_and_status_come_back() -> None:
    done = run_to_end(["sh", "-c", "echo out; echo err >&2; exit 3"], Bounds(LONG_S))
    assert (done.status, done.output, done.errors) == (3, "out\n", "err\n")
    assert ended_words(done.status) == "ended with exit status 3"
    both = run_to_end(
        ["sh", "-c", "echo out; echo err >&2"], Bounds(LONG_S), stderr=subprocess.STDOUT
    )
    assert (both.output, both.errors) == ("out\nerr\n", "")


def test_a_crash_is_told_by_its_signal() -> None:
    done = run_to_end(["sh", "-c", "kill -SEGV $$"], Bounds(LONG_S))
    assert ended_words(done.status) == "ended with SIGSEGV"


def test_one_that_takes_too_long_is_ended_with_all_it_started() -> None:
    with pytest.raises(TimedOutError) as caught:
        run_to_end(["sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait"], Bounds(0.5))
    assert not works(int(str(caught.value)))


def test_what_it_started_is_gone_too_when_it_is_left() -> None:
    """Whoever then removes its directory must not meet a process that still writes into it.

    One that returns a lot of memory takes longer to go than the process that started it.
    """
    child = "import sys, time; kept = b'x' * (512 << 20); print(flush=True); time.sleep(60)"
    with guarded(["sh", "-c", f'{sys.executable} -c "{child}" & echo $!; wait']) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.stdout.readline()
        assert works(pid)
    assert not works(pid)


@pytest.mark.parametrize("way", ["small pieces", "at once", "in a child of its own"])
def test_memory_is_bounded_by_the_kernel(way: str) -> None:
    pieces = "blocks = []\nwhile True: blocks.append(bytearray(1 << 20))"
    code = {
        "small pieces": pieces,
        "at once": "bytearray(1 << 40)",
        "in a child of its own": f"import subprocess, sys\n"
        f"sys.exit(subprocess.run([sys.executable, '-c', {pieces!r}]).returncode)",
    }[way]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = run_to_end([sys.executable, "-c", code], Bounds(LONG_S, 200 << 20))
    assert done.status == 1
    assert ran_out_of_memory(done.errors)
    # In KiB, of the largest child this process has had.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 300 << 10)


def test_what_is_only_reserved_counts_for_nothing() -> None:
    """A bound on address space (RLIMIT_AS) would end programs that map what they never use."""
    code = "import mmap; m = mmap.mmap(-1, 8 << 30, prot=mmap.PROT_READ); print(m[0])"
    done = run_to_end(python(code), Bounds(LONG_S, 200 << 20))
    assert (done.status, done.output) == (0, "0\n")


def test_it_is_gone_when_it_is_left_whatever_raised() -> None:
    pids = []

    def use() -> None:
        with guarded(["sh", "-c", "sleep 60 & echo $!; exec sleep 60"]) as process:
            assert process.stdout is not None
            pids.extend([process.pid, int(process.stdout.readline())])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert not any(map(works, pids))


#: A bench that starts what `argv` says and tells the process's number, and its descendant's.
BENCH = """
import sys, time, threading
from bench.core.processes import guarded
def start():
    with guarded(sys.argv[1:]) as process:
        print(process.pid, process.stdout.readline().decode().strip(), flush=True)
        time.sleep(600)
thread = threading.Thread(target=start)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["busy", "stopped"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_outlives_its_bench(end: signal.Signals, stopped: bool) -> None:
    # The process computes where Python never looks at signals; its child waits.
    busy = python(
        """
        import signal, subprocess
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGIO):
            signal.signal(number, signal.SIG_IGN)
        print(subprocess.Popen(["sleep", "600"], close_fds=False).pid, flush=True)
        pow(3, 10**9)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", BENCH, *busy], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as bench:
        assert bench.stdout is not None
        started = [int(word) for word in bench.stdout.readline().split()]
        assert len(started) == 2
        if stopped:
            for pid in started:
                os.kill(pid, signal.SIGSTOP)
        bench.send_signal(end)
        assert bench.wait(30) == -end
    assert eventually(lambda: not any(map(alive, started)), seconds=5)


# --- Servers -----------------------------------------------------------------------------------

ECHO = """
import os, signal, sys, time
from multiprocessing.connection import Connection
client = Connection(int(sys.argv[-1]))
while True:
    try:
        order = client.recv_bytes()
    except EOFError:
        break
    print("served", order[:20].decode(), flush=True)
    if order.startswith(b"do "):
        exec(order[3:])
    else:
        client.send_bytes(order)
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server([sys.executable, "-c", ECHO]) as server:
        yield server


def ask(server: Server, order: bytes, seconds: float = LONG_S, memory: int | None = None) -> bytes:
    with server.conversation(memory) as child:
        child.send(order, seconds)
        return child.receive(seconds)


def test_one_process_serves_many_requests_of_any_size(server: Server) -> None:
    assert server.pid is None
    assert ask(server, b"hello") == b"hello"
    first = server.pid
    large = bytes(range(256)) * 40_000
    assert ask(server, large) == large
    assert server.pid == first
    server.close()
    assert first is not None
    assert not alive(first)
    assert ask(server, b"again") == b"again"
    assert server.pid != first


@pytest.mark.parametrize(
    ("order", "end", "how"),
    [
        ("os.abort()", End.ITSELF, "ended with SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", End.ITSELF, "ended with SIGSEGV"),
        ("sys.exit('no such thing')", End.ITSELF, "ended with exit status 1"),
        ("time.sleep(60)", End.TIME, "did not answer in time"),
        ("os.kill(os.getpid(), signal.SIGSTOP)", End.TIME, "did not answer in time"),
        # A message that begins and does not go on.
        ("os.write(client.fileno(), b'\\0\\0\\1\\0half'); time.sleep(60)", End.TIME, "in time"),
        (
            "b = []\nwhile True: b.append(bytearray(1 << 24))",
            End.MEMORY,
            "more memory than the 200",
        ),
        ("os.kill(os.getpid(), signal.SIGKILL)", End.OUTSIDE, "ended with SIGKILL"),
        ("client.close(); time.sleep(60)", End.ITSELF, "closed its connection"),
    ],
)
def test_a_lost_server_says_how_it_was_lost_and_the_next_request_gets_a_new_one(
    server: Server, order: str, end: End, how: str
) -> None:
    assert ask(server, b"hello") == b"hello"
    first = server.pid
    seconds = 1.0 if end is End.TIME else LONG_S
    with pytest.raises(LostError) as caught:
        ask(server, b"do " + order.encode(), seconds, memory=200 << 20)
    assert caught.value.end is end
    assert how in caught.value.how
    assert caught.value.words.startswith("served do ")
    assert first is not None
    assert not alive(first)
    assert ask(server, b"hello") == b"hello"


def test_memory_is_bounded_by_the_user_s_own_limit_too() -> None:
    """`ulimit -d` of the bench, which its servers inherit, is nobody's fault."""
    script = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, 300 << 20))
from bench.core.processes.servers import LostError, Server
with Server([sys.executable, "-c", {ECHO!r}]) as server:
    try:
        with server.conversation(4 << 30) as child:
            child.send(b"do b = []\\nwhile True: b.append(bytearray(1 << 24))", 60)
            child.receive(60)
    except LostError as error:
        print(error.end, error.how)
"""
    done = run_to_end([sys.executable, "-c", script], Bounds(LONG_S), cwd=ROOT)
    assert done.output == "End.MEMORY wanted more memory than the 300 MiB it may have\n", (
        done.errors
    )


def test_a_server_that_takes_nothing_blocks_nobody(server: Server) -> None:
    """More than the connection's buffers hold: without a bound, the sender would wait for ever."""
    assert ask(server, b"hello") == b"hello"
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(LostError, match="in time"):
        ask(server, bytes(50_000_000), seconds=0.5)
    assert time.monotonic() - start < 30


def test_an_interrupted_conversation_is_not_answered_in_the_next(server: Server) -> None:
    assert ask(server, b"first") == b"first"

    def interrupted() -> None:
        with server.conversation(None) as child:
            child.send(b"second", LONG_S)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ask(server, b"third") == b"third"


def test_words_are_those_of_this_conversation(server: Server) -> None:
    ask(server, b"first")
    with server.conversation(None) as child:
        child.send(b"second", LONG_S)
        child.receive(LONG_S)
        assert child.words == "served second"


def test_what_cannot_be_started_is_said() -> None:
    with Server(["/no/such/program"]) as server, pytest.raises(LostError, match="No such file"):
        ask(server, b"hello")


# --- One way -----------------------------------------------------------------------------------

#: Where processes are started by other means, and why.
ELSEWHERE = {
    "bench/core/processes/running.py": "the one way",
    "bench/compiler/fork_server.py": "forks Vela, in a process started in the one way",
    "targets/fvp/containers/life.py": "a guard has to outlive the bench",
    "targets/mps3/labgrid/card_agent.py": "runs on the machine that has the card",
    "targets/virtual/board/device.py": "a part of the virtual board, which is no bench",
}


def test_processes_are_started_and_ended_in_one_way() -> None:
    starts = {"Popen", "run", "call", "check_call", "check_output", "fork", "killpg", "system"}
    found = set()
    for package in ("bench", "models", "targets"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="os" | "subprocess"), attr=name)
                    ) if name in starts:
                        found.add(path.relative_to(ROOT).as_posix())
    assert found == set(ELSEWHERE)
