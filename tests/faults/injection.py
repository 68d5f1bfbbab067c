"""A run to which one fault happens, and what must hold of it afterwards."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from tests.faults.matrix import Case, Fault, Moment, Victim
from tests.operators.network import Network
from tests.operators.weighted import conv2d, transpose_conv
from tests.support.bench_runs import ROOT, BenchRun, BenchRunner
from tests.support.foreign_readers import by_junitparser
from tests.support.models.tflite_factory import mlp

__all__ = ["Clean", "Finding", "clean_run", "inject"]

#: Seconds: for a whole run; for the moment to come; for what a run started to be gone after it.
_RUN_S, _MOMENT_S, _GONE_S = 420.0, 180.0, 30.0
#: Bytes of data that a process short of memory may have: less than it has already.
_NO_MEMORY = 16 << 20

_GRID = """
[grid]
macs = [64, 128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]
[reference]
samples = 400
"""
_MODELS = (
    _GRID
    + """
[workloads.whole]
model = "whole.tflite"
random_inputs = 400
[workloads.mixed]
model = "mixed.tflite"
random_inputs = 400
[[workloads.whole.limits]]
metric = "npu_cycles"
max = 1_000_000
"""
)
_TRAINED = (
    _MODELS
    + """
[data]
mnist = "subset"
[workloads.trained]
recipe = "mnist_fc"
variants.base = { method = "train", epochs = 1, batch_size = 128 }
"""
)

#: What the command line of each process has in it.
_MARKS = {
    Victim.WORKER: "sys.stdin.readline",
    Victim.BUILDER: "models.worker",
    Victim.VELA: "fork_server",
    Victim.INTERPRETER: "interpreter_worker",
    Victim.CPU_OPERATOR: "interpreter_worker",
}


@dataclass(frozen=True)
class Clean:
    """The same grid without a fault: what a run must come to in the end."""

    records: dict[str, bytes]
    names: frozenset[str]


@dataclass
class Finding:
    """What came of a run with a fault. Empty `wrong`: all that must hold does."""

    case: Case
    hit: bool = False
    seconds: float = 0.0
    status: int | None = None
    wrong: list[str] = field(default_factory=list)
    output: str = ""


def _write(directory: Path, trained: bool) -> Path:
    generator = np.random.default_rng(3)
    weights = [generator.integers(-127, 128, (64, 256), dtype=np.int8)]
    (directory / "whole.tflite").write_bytes(mlp(weights, softmax=False))
    network = Network(3)
    value = conv2d(network, network.input((1, 12, 12, 4)), 8)
    value = transpose_conv(network, value, 4, stride=(3, 3))
    (directory / "mixed.tflite").write_bytes(network.serialise([value]))
    path = directory / "bench.toml"
    path.write_text(_TRAINED if trained else _MODELS, encoding="utf-8")
    return path


def clean_run(directory: Path, *, trained: bool) -> Clean:
    """Run the grid without a fault. Raises `AssertionError` where that fails already."""
    runner = BenchRunner(directory)
    run = runner.run(_write(directory, trained), "-n", "2", "-q")
    assert run.returncode == 0, run.output
    _, names = by_junitparser(run.directory.path / "junit.xml")
    return Clean(_records(run, directory), frozenset(names))


def _records(run: BenchRun, directory: Path) -> dict[str, bytes]:
    """The run's records, but for the directory that commands to repeat a verdict name."""
    place = str(directory).encode()
    return {name: data.replace(place, b"HERE") for name, data in run.record_files().items()}


def inject(case: Case, directory: Path, clean: Clean, stop_seconds: float) -> Finding:
    """Run the grid in `directory`, do what `case` says, and look at what is left."""
    finding = Finding(case)
    runner = BenchRunner(directory)
    config = _write(directory, trained=case.moment is Moment.TRAIN)
    mark = f"BENCH_FAULT_RUN={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    begin = time.monotonic()
    process = subprocess.Popen(
        runner.command(config, "-n", "2", "-q"),
        cwd=ROOT,
        env=runner.environment() | {name: value},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with _output_of(process) as said:
        run = runner.results / "latest"
        finding.hit = _hit(case, process, run, len(clean.names), stop_seconds)
        try:
            finding.status = process.wait(timeout=_RUN_S)
        except subprocess.TimeoutExpired:
            finding.wrong.append(f"it had not ended after {_RUN_S:.0f} s")
            process.kill()
            finding.status = process.wait()
    finding.seconds = time.monotonic() - begin
    finding.output = "".join(said)
    _check_left_overs(finding, mark)
    _check_reports(finding, run, clean)
    again = runner.run(config, "-n", "2", "-q")
    if again.returncode != 0:
        finding.wrong.append(f"the next run ended with {again.returncode}: {again.output[-2000:]}")
    elif _records(again, directory) != clean.records:
        finding.wrong.append("the next run's records differ from a clean run's")
    return finding


@contextlib.contextmanager
def _output_of(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """What the process prints, read while it runs: a full pipe would stop it."""
    said: list[str] = []
    stream = process.stdout
    assert stream is not None

    def read() -> None:
        said.extend(stream)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield said
    finally:
        thread.join(timeout=10)


def _hit(
    case: Case, process: subprocess.Popen[str], run: Path, tests: int, stop_seconds: float
) -> bool:
    """Wait for the moment and inject the fault; False where the run ended before it came."""
    deadline = time.monotonic() + _MOMENT_S
    while process.poll() is None and time.monotonic() < deadline:
        if _has_come(case.moment, run, tests):
            victim = _find(case.victim, process.pid)
            if victim is not None:
                return _strike(case.fault, victim, stop_seconds)
        time.sleep(0.005)
    return False


def _has_come(moment: Moment, run: Path, tests: int) -> bool:
    if moment is Moment.JUDGE:
        return any((run / "cells").glob("*.json"))
    if moment is Moment.REPORT:
        path = run / "outcomes.jsonl"
        return path.exists() and path.read_bytes().count(b"\n") >= tests - 1
    return moment.value in _under_way(run)


def _under_way(run: Path) -> set[str]:
    """The kinds of work that have begun and not ended."""
    try:
        lines = (run / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set()
    begun: dict[tuple[str, str], str] = {}
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):
            event = json.loads(line)
            begun[event["kind"], event["task"]] = event["state"]
    return {kind for (kind, _), state in begun.items() if state in ("started", "update")}


def _find(victim: Victim, controller: int) -> psutil.Process | None:
    """The newest of the run's processes of that kind."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(controller)
        if victim is Victim.CONTROLLER:
            return root
        found = []
        for child in root.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any(_MARKS[victim] in part for part in child.cmdline()):
                    found.append((child.create_time(), child.pid, child))
        if found:
            return max(found)[2]
    return None


def _strike(fault: Fault, victim: psutil.Process, stop_seconds: float) -> bool:
    try:
        if fault is Fault.KILL:
            victim.kill()
        elif fault is Fault.TERM:
            victim.terminate()
        elif fault is Fault.MEMORY:
            victim.rlimit(psutil.RLIMIT_DATA, (_NO_MEMORY, _NO_MEMORY))
        elif fault is Fault.DISK:
            # The kernel refuses each byte as on a full disk, but to this process alone.
            victim.rlimit(psutil.RLIMIT_FSIZE, (0, 0))
        else:
            victim.suspend()
            time.sleep(stop_seconds)
            victim.resume()
    except psutil.Error:
        return False
    return True


def _check_left_overs(finding: Finding, mark: str) -> None:
    deadline = time.monotonic() + _GONE_S
    left = _processes_with(mark)
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = _processes_with(mark)
    if left:
        finding.wrong.append(f"left running: {left}")
        for pid in left:
            with contextlib.suppress(psutil.Error):
                psutil.Process(pid).kill()


def _processes_with(mark: str) -> dict[int, str]:
    name, _, value = mark.partition("=")
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(name) == value and process.status() != "zombie":
                found[process.pid] = " ".join(process.cmdline())[:120]
    return found


def _check_reports(finding: Finding, run: Path, clean: Clean) -> None:
    """Every test has its case, and the run is red unless all work was done."""
    controller = finding.case.victim is Victim.CONTROLLER
    if not (run / "selection.json").exists():
        # The fault came before the tests were known.
        if finding.status == 0:
            finding.wrong.append("it was green without a test")
        return
    junit = run / "junit.xml"
    if controller and finding.status != 0 and not junit.exists():
        # Nothing writes a report when the controller is killed, or may not write; the run's
        # directory has what it takes.
        made = subprocess.run(
            [sys.executable, "-m", "bench.cli", "report", str(run)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            finding.wrong.append(f"bench report: {made.stderr}")
    if not junit.exists():
        finding.wrong.append("there is no JUnit file")
        return
    (_, failed, _), names = by_junitparser(junit)
    if names != clean.names:
        finding.wrong.append(f"cases differ: {sorted(names ^ clean.names)[:5]}")
    done = len(list((run / "cells").glob("*.json"))) == len(
        [name for name in clean.records if name.startswith("cells/")]
    )
    if finding.status == 0 and (failed or not done):
        finding.wrong.append(f"it was green with {failed} failures, all measured: {done}")
    if finding.status != 0 and not failed and finding.hit and not controller:
        finding.wrong.append(f"status {finding.status} and no failed case")
