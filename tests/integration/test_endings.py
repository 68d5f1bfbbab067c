"""The end of a run: its reports are written whatever happens to one of them, and it is soon over.

What goes wrong is put into the real run by a plugin that pytest loads beside the bench's own.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import psutil
import pytest

from bench.judging.suites import SUITES
from tests.operators.network import Network
from tests.operators.weighted import conv2d
from tests.support.bench_runs import ROOT, BenchRun, BenchRunner
from tests.support.models.tflite_factory import mlp

GRID = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]
targets = ["vela"]
[workloads.net]
model = "net.tflite"
[[workloads.net.limits]]
metric = "npu_cycles"
max = 1_000_000
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> BenchRunner:
    """A bench whose products are all in the cache."""
    runner = BenchRunner(tmp_path_factory.mktemp("endings"))
    weights = np.random.default_rng(1).integers(-127, 128, (8, 16), dtype=np.int8)
    (runner.directory / "net.tflite").write_bytes(mlp([weights], softmax=False))
    run = runner.run(runner.write_config(GRID), "-n", "0")
    assert run.returncode == 0, run.output
    return runner


def run_with(warm: BenchRunner, directory: Path, plugin: str, workers: str = "0") -> BenchRun:
    """The run, with a plugin of that text; its results are in `directory`."""
    (directory / "trouble.py").write_text(plugin, encoding="utf-8")
    runner = BenchRunner(warm.directory)
    runner.results = directory / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{directory}{os.pathsep}{ROOT}")
        return runner.run(
            warm.directory / "bench.toml", "-n", workers, "-p", "trouble", timeout=120
        )


def kinds(path: Path) -> list[str]:
    """What became of the cases of a JUnit file."""
    cases = list(ElementTree.parse(path).iter("testcase"))
    return [next((p.tag for p in c if p.tag in ("failure", "error")), "other") for c in cases]


FAILS = """
import bench.pytest_plugin.terminal as terminal

def fail(*arguments):
    raise {error}

terminal.{function} = fail
"""
DIRECTORY = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session):
    from pathlib import Path
    for run in Path({results!r}).glob("2*"):
        (run / "junit.xml").mkdir(exist_ok=True)
"""


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        ("write_junit", "RuntimeError('a mistake of ours')", "RuntimeError: a mistake of ours"),
        ("read_run", "MemoryError()", "MemoryError"),
        ("write_junit", "RecursionError('too deep')", "RecursionError: too deep"),
        ("read_run", "UnicodeError('a name')", "UnicodeError: a name"),
    ],
)
def test_pytest_s_report_is_written_whatever_happens_to_ours(
    warm: BenchRunner, tmp_path: Path, function: str, error: str, said: str
) -> None:
    run = run_with(warm, tmp_path, FAILS.format(function=function, error=error))
    assert run.returncode == 75, run.output
    assert len(kinds(run.directory.path / "pytest.xml")) == len(SUITES)
    (line,) = [x for x in run.output.splitlines() if "a report is missing" in x]
    assert said in line
    # The traceback is for us; it is where the line says.
    assert "Traceback" not in run.output
    assert "Traceback" in Path(line.rpartition(" in ")[2]).read_text(encoding="utf-8")


def test_a_report_that_has_no_place_costs_itself_only(warm: BenchRunner, tmp_path: Path) -> None:
    run = run_with(warm, tmp_path, DIRECTORY.format(results=str(tmp_path / "results")))
    assert run.returncode == 75, run.output
    assert len(kinds(run.directory.path / "pytest.xml")) == len(SUITES)
    assert "a report is missing" in run.output
    assert "Traceback" not in run.output


WAITS = """
import atexit, os, threading
import bench.pytest_plugin.ending as ending

ending._EXIT_S = 3

def wait_for_ever():
    threading.Lock().acquire() and threading.Event().wait()

{when}
"""
AT_EXIT = "if 'PYTEST_XDIST_WORKER' not in os.environ: atexit.register(wait_for_ever)"
IN_A_HOOK = "ending._REPORTS_S = 3\n\ndef pytest_sessionfinish(session):\n    wait_for_ever()\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("when", "workers"),
    [(AT_EXIT, "0"), (AT_EXIT, "2"), (IN_A_HOOK, "0")],
    ids=["exit", "exit of a controller", "last hook"],
)
def test_a_controller_that_waits_at_its_end_is_ended(
    warm: BenchRunner, tmp_path: Path, when: str, workers: str
) -> None:
    """As execnet does, when no memory is left for the threads that it waits for."""
    run = run_with(warm, tmp_path, WAITS.format(when=when), workers)
    assert run.returncode == -signal.SIGALRM, run.output
    # The reports come first.
    assert len(kinds(run.directory.path / "junit.xml")) == len(SUITES)


SIGNALLED = """
import os, signal
import bench.pytest_plugin.terminal as terminal

real = terminal.read_run

def read_run(run):
    os.kill(os.getpid(), signal.{name})
    return real(run)

terminal.read_run = read_run
"""


@pytest.mark.parametrize(("name", "workers"), [("SIGTERM", "2"), ("SIGHUP", "0")])
def test_a_signal_while_the_reports_are_made_leaves_them(
    warm: BenchRunner, tmp_path: Path, name: str, workers: str
) -> None:
    run = run_with(warm, tmp_path, SIGNALLED.format(name=name), workers)
    assert run.returncode == pytest.ExitCode.INTERRUPTED, run.output
    for file in ("junit.xml", "pytest.xml"):
        assert kinds(run.directory.path / file) == ["other"] * len(SUITES)
    assert "1 of 1 planned cells measured" in run.output


@pytest.mark.parametrize(
    ("workers", "number"),
    [("2", signal.SIGINT), ("0", signal.SIGTERM), ("0", signal.SIGHUP)],
)
def test_a_signal_ends_a_run_that_waits_for_an_interpreter(
    tmp_path: Path, workers: str, number: signal.Signals
) -> None:
    """Native code hears no signal, so it is not in the process that has to."""
    network = Network(3)
    value = network.input((1, 48, 48, 8))
    for _ in range(6):
        value = conv2d(network, value, 16)
    (tmp_path / "net.tflite").write_bytes(network.serialise([value]))
    runner = BenchRunner(tmp_path)
    # On target vela the reference runs all inputs: half an hour, here.
    config = runner.write_config(
        GRID.replace('"net.tflite"', '"net.tflite"\nrandom_inputs = 10_000')
    )
    process = runner.start(config, "-n", workers)
    progress = runner.results / "latest" / "progress.jsonl"
    deadline = time.monotonic() + 120
    while not (progress.exists() and '"reference"' in progress.read_text(encoding="utf-8")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    found = kinds(runner.results / "latest" / "junit.xml")
    assert len(found) == len(SUITES)
    assert "error" in found


def test_a_pattern_for_one_report_does_not_match_the_other(
    warm: BenchRunner, tmp_path: Path
) -> None:
    """A dashboard that collects `junit*.xml` counts each case once."""
    run = run_with(warm, tmp_path, "")
    files = sorted(path.name for path in run.directory.path.rglob("*.xml"))
    assert files == ["junit.xml", "pytest.xml"]
    assert [path.name for path in run.directory.path.rglob("junit*.xml")] == ["junit.xml"]
