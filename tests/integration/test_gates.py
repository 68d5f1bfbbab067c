"""Gates judge what they are for: missing figures, operators that leave, workers that die."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import psutil
import pytest
from junitparser import JUnitXml

from bench.judging.suites import SUITES
from bench.report.exports.writing import write_export
from bench.report.run_view import read_run
from tests.operators.network import Network
from tests.operators.weighted import conv2d, transpose_conv
from tests.support.bench_runs import ROOT, BenchRun, BenchRunner
from tests.support.foreign_readers import (
    READERS,
    Reading,
    ant_complaints,
    by_allure_of_results,
    by_junitparser,
    jenkins_complaints,
)
from tests.support.models.tflite_factory import mlp

GRID = '[grid]\nmacs = [128]\nmemory_modes = ["Shared_Sram"]\ntargets = ["sim"]\n'
LIMITS = "".join(
    f'[[workloads.net.limits]]\nmetric = "{metric}"\nmax = 1_000_000\n'
    for metric in ("npu_cycles", "axi0_read_beats", "axi0_write_beats", "axi1_read_beats")
)
NET = GRID + '[workloads.net]\nmodel = "net.tflite"\nrandom_inputs = 2\n' + LIMITS
CELL = "net-base-u55_128-shared_sram-sim"


def decoder(stride: int) -> bytes:
    """A convolution, then a TRANSPOSE_CONV, which Vela puts on the NPU at stride 2, not at 3."""
    network = Network(3)
    value = conv2d(network, network.input((1, 8, 8, 4)), 8)
    return network.serialise([transpose_conv(network, value, 4, stride=(stride, stride))])


def all_on_cpu() -> bytes:
    """Nothing but a TRANSPOSE_CONV that Vela leaves to the CPU."""
    network = Network(3)
    return network.serialise(
        [transpose_conv(network, network.input((1, 8, 8, 4)), 4, stride=(3, 3))]
    )


def two_left() -> bytes:
    """Two operators on the CPU amid others on the NPU."""
    network = Network(3)
    value = conv2d(network, network.input((1, 4, 4, 4)), 4)
    for _ in range(2):
        value = conv2d(network, transpose_conv(network, value, 4, stride=(3, 3)), 4, stride=(3, 3))
    return network.serialise([value])


def failures(run: BenchRun) -> dict[str, str]:
    """Name -> text of the failed cases, as a foreign reader finds them in the JUnit file."""
    found = {}
    for suite in JUnitXml.fromfile(str(run.directory.path / "junit.xml")):
        for case in suite:
            for result in case.result:
                if type(result).__name__ in ("Failure", "Error"):
                    found[case.name] = result.text
    return found


def column(output: str, title: str) -> str:
    """The cell's entry in that column of the table at the end."""
    lines = output.splitlines()
    (head,) = [line for line in lines if line.startswith("┃") and title in line]
    (row,) = [line for line in lines if line.startswith("│ base ")]
    places = [entry.strip() for entry in head.strip("┃").split("┃")]
    return row.strip("│").split("│")[places.index(title)].strip()


@pytest.fixture
def runner(tmp_path: Path) -> BenchRunner:
    return BenchRunner(tmp_path)


def test_a_network_all_on_the_npu_passes(runner: BenchRunner) -> None:
    (runner.directory / "net.tflite").write_bytes(decoder(2))
    run = runner.run(runner.write_config(NET), "-n", "0")
    assert run.returncode == 0, run.output
    assert run.records()[CELL].compilation.cpu_operators == ()


@pytest.mark.parametrize(
    ("model", "operators"),
    [(decoder(3), 1), (all_on_cpu(), 1), (two_left(), 2)],
    ids=["one of two", "all", "two of five"],
)
def test_a_lost_operator_is_no_gain(runner: BenchRunner, model: bytes, operators: int) -> None:
    (runner.directory / "net.tflite").write_bytes(model)
    run = runner.run(runner.write_config(NET), "-n", "0")
    assert run.returncode == 1, run.output
    assert run.records()[CELL].compilation.cpu_operators == ("TRANSPOSE_CONV",) * operators
    failed = failures(run)
    assert set(failed) == {f"{CELL}:{s}" for s in ("npu_cycles", "axi_traffic", "cpu_operators")}
    assert "TRANSPOSE_CONV" in failed[f"{CELL}:cpu_operators"]
    assert "CPU" in failed[f"{CELL}:npu_cycles"]
    assert column(run.output, "CPU ops") == str(operators)


def test_any_one_suite_alone_notices_a_lost_operator(runner: BenchRunner) -> None:
    (runner.directory / "net.tflite").write_bytes(decoder(3))
    config = runner.write_config(NET)
    for suite in ("npu_cycles", "axi_traffic"):
        run = runner.run(config, "-n", "0", f"tests/regression/test_{suite}.py")
        assert run.returncode == 1, run.output
        # Only what was chosen is judged in the report.
        names = {
            c.name for s in JUnitXml.fromfile(str(run.directory.path / "junit.xml")) for c in s
        }
        assert names == {f"{CELL}:{suite}"}


def test_a_limit_on_them_allows_operators_on_the_cpu(runner: BenchRunner) -> None:
    (runner.directory / "net.tflite").write_bytes(decoder(3))
    allowed = '[[workloads.net.limits]]\nmetric = "cpu_operators"\nmax = 1\n'
    run = runner.run(runner.write_config(NET + allowed), "-n", "0")
    assert run.returncode == 0, run.output
    (verdict,) = [v for v in run.records()[CELL].verdicts if v.metric == "cpu_operators"]
    assert verdict.status.name == "PASS"
    assert "TRANSPOSE_CONV" in verdict.line
    assert column(run.output, "CPU ops") == "1"


TRAINED = (
    '[data]\nmnist = "subset"\n[workloads.lost]\nrecipe = "mnist_fc"\n'
    'variants.base = { method = "train", epochs = 1 }\n'
)
#: Nobody listens there.
NOWHERE = f'[workloads.lost]\nurl = "http://127.0.0.1:9/m.tflite"\nsha256 = "{"0" * 64}"\n'
#: A package that cannot be loaded -> how it fails; what needs it; what is said.
BROKEN = {
    "no TensorFlow": ("tensorflow", "raise ImportError('libcuda is missing')", TRAINED, "libcuda"),
    "a TensorFlow that aborts": ("tensorflow", "import os; os.abort()", TRAINED, "SIGABRT"),
    "half a TensorFlow": (
        "tensorflow_model_optimization",
        "raise ModuleNotFoundError('no tf_keras')",
        TRAINED,
        "no tf_keras",
    ),
    "a TensorFlow that is another": ("tensorflow", "", TRAINED, "tensorflow"),
    "no download": ("nothing", "", NOWHERE, "127.0.0.1:9"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_tool_is_an_error_and_no_skip(
    runner: BenchRunner, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A cell that needs it has failed, and those beside it are judged."""
    package, code, workload, said = BROKEN[how]
    (runner.directory / "net.tflite").write_bytes(decoder(2))
    break_package(runner, monkeypatch, package, code)
    run = runner.run(runner.write_config(NET + workload), "-n", "0")
    # What cannot be loaded or reached may be there on another machine, or the next time. A build
    # that fails for no such reason would fail again.
    again = how in ("no TensorFlow", "half a TensorFlow", "no download")
    assert run.returncode == (75 if again else 1), run.output
    failed = failures(run)
    lost = "lost-base-u55_128-shared_sram-sim"
    assert set(failed) == {f"{lost}:{suite}" for suite in SUITES}
    assert all(said in text for text in failed.values()), failed
    assert set(run.records()) == {CELL}
    assert {one.status.name for one in run.directory.unmeasured().found} == {"INCOMPLETE"}


def test_no_room_to_load_a_tool_is_an_error_and_no_skip(runner: BenchRunner) -> None:
    """Room for all but TensorFlow."""
    (runner.directory / "net.tflite").write_bytes(decoder(2))
    command = runner.command(runner.write_config(NET + TRAINED), "-n", "0")
    done = subprocess.run(
        ["sh", "-c", 'ulimit -v 1500000; exec "$@"', "sh", *command],
        cwd=ROOT,
        env=runner.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout
    counts, _ = by_junitparser(runner.results / "latest" / "junit.xml")
    assert counts[1] == len(SUITES), done.stdout
    assert "1 of 2 planned cells measured, 1 INCOMPLETE" in done.stdout


def test_a_reference_that_cannot_be_loaded_is_an_error_and_no_skip(
    runner: BenchRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runner.directory / "net.tflite").write_bytes(decoder(2))
    break_package(runner, monkeypatch, "tflite_micro", "raise ImportError('bad ELF')")
    run = runner.run(runner.write_config(NET), "-n", "0")
    assert run.returncode == 75, run.output
    assert f"{CELL}:reference" in failures(run)
    assert "bad ELF" in run.output


def break_package(
    runner: BenchRunner, monkeypatch: pytest.MonkeyPatch, package: str, code: str
) -> None:
    """Put a package of that name where Python looks first."""
    broken = runner.directory / "broken"
    (broken / package).mkdir(parents=True)
    (broken / package / "__init__.py").write_text(f"{code}\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{broken}{os.pathsep}{ROOT}")


class Outcomes:
    """How many cases passed, failed and were skipped."""

    def __init__(self, passed: int, failed: int, skipped: int) -> None:
        self.counts = (passed, failed, skipped)

    @classmethod
    def of_pytest(cls, run: BenchRun) -> Outcomes:
        kinds = list(run.outcomes().values())
        failed = kinds.count("failure") + kinds.count("error")
        return cls(kinds.count("passed"), failed, kinds.count("skipped"))


@pytest.fixture(scope="module")
def four_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BenchRun]:
    """One grid in four conditions: all well, limits broken, cells that fail, no FVP."""
    runner = BenchRunner(tmp_path_factory.mktemp("four"))
    generator = np.random.default_rng(5)
    weights = [generator.integers(-127, 128, (10, 32), dtype=np.int8)]
    path = runner.directory / "net.tflite"
    path.write_bytes(mlp(weights, softmax=False))
    text = NET.replace("[128]", "[64, 128]")
    runs = {"green": runner.run(runner.write_config(text), "-n", "0")}
    broken = text.replace("1_000_000", "1")
    runs["limits broken"] = runner.run(runner.write_config(broken), "-n", "0")
    # Vela refuses what it is asked to compile.
    stuck = text + "[vela]\ntimeout_s = 0.001\n"
    path.write_bytes(mlp([*weights, weights[0][:, :10]], softmax=False))
    runs["unmeasurable"] = runner.run(runner.write_config(stuck), "-n", "0")
    absent = text.replace('["sim"]', '["fvp"]')
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BENCH_FVP", raising=False)
        runs["no device"] = runner.run(runner.write_config(absent), "-n", "0")
    return runs


STATUS = {"green": 0, "limits broken": 1, "unmeasurable": 1, "no device": 75}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("condition", STATUS)
def test_foreign_readers_count_as_pytest_does(
    four_runs: dict[str, BenchRun], condition: str, read: Callable[[Path], Reading]
) -> None:
    run = four_runs[condition]
    assert run.returncode == STATUS[condition], run.output
    wanted = Outcomes.of_pytest(run).counts
    assert sum(wanted) == 2 * len(SUITES) + 1, "two cells and a sweep"
    counts, names = read(run.directory.path / "junit.xml")
    assert counts == wanted
    # The same names whatever becomes of a run.
    _, green = by_junitparser(four_runs["green"].directory.path / "junit.xml")
    assert {name.replace("-fvp", "-sim") for name in names} == green


@pytest.mark.parametrize("condition", STATUS)
def test_allure_reads_its_export_as_pytest_counts(
    four_runs: dict[str, BenchRun], condition: str
) -> None:
    run = four_runs[condition]
    out = run.directory.path / "allure-results"
    write_export(read_run(run.directory), "allure", out)
    counts, names = by_allure_of_results(out, out.with_suffix(".csv"))
    assert counts == Outcomes.of_pytest(run).counts
    _, junit = by_junitparser(run.directory.path / "junit.xml")
    assert names == junit


@pytest.mark.parametrize("condition", STATUS)
def test_jenkins_schemas_are_kept(four_runs: dict[str, BenchRun], condition: str) -> None:
    """Ours but for the place of a limit, which the older of the two does not know.

    In pytest's file, pytest's own properties of cases are what deviates.
    """
    run = four_runs[condition].directory.path
    newer, older = jenkins_complaints(run / "junit.xml").values()
    assert newer == set()
    assert {words.split(":")[0] for words in older} <= {
        "Element 'testcase', attribute 'file'",
        "Element 'testcase', attribute 'line'",
    }
    for said in jenkins_complaints(run / "pytest.xml").values():
        assert {words.split(":")[0] for words in said} <= {"Element 'properties'"}


#: What xmllint says of a file against Ant's schema -> the deviation as docs/junit.md calls it.
ANT_SAYS = (
    (r"Element '(\S+)', attribute '(\S+)': The attribute '\S+' is not allowed\.", "{0}@{1}"),
    (r"Element '(\S+)': The attribute '(\S+)' is required but missing\.", "{0}@{1} is missing"),
    (r"Element 'testcase': This element is not expected\. Expected is \( (properties) \)\.",
     "testsuite/{0} is missing"),
    (r"Element '(testsuite)': Missing child element\(s\)\. .*( system-out)? \)\.",
     "{0}/system-out is missing"),
    (r"Element '(\S+)': This element is not expected\. Expected is .*error, failure \)\.",
     "testcase/{0}"),
)  # fmt: skip


@pytest.mark.parametrize("condition", STATUS)
def test_deviations_from_ant_s_schema_are_those_that_the_contract_lists(
    four_runs: dict[str, BenchRun], condition: str
) -> None:
    """The schema itself; xmllint says no more of an element once it is out of place."""
    complaints = ant_complaints(four_runs[condition].directory.path / "junit.xml")
    contract = (ROOT / "docs" / "junit.md").read_text(encoding="utf-8")
    assert complaints
    for complaint in complaints:
        named = [
            name.format(*found.groups())
            for pattern, name in ANT_SAYS
            if (found := re.fullmatch(pattern, complaint))
        ]
        assert named, complaint
        assert f"`{named[0]}`" in contract, complaint


def test_a_failure_says_all_in_its_first_line(four_runs: dict[str, BenchRun]) -> None:
    tree = ElementTree.parse(four_runs["limits broken"].directory.path / "junit.xml")
    (message, *_) = [
        failure.attrib["message"]
        for case in tree.iter("testcase")
        if case.attrib["name"].endswith(":npu_cycles")
        for failure in case.iter("failure")
    ]
    assert message.startswith("npu_cycles ")
    assert message.endswith("must be at most 1 cycles") or "at most 1 cycle" in message
    errors = list(
        ElementTree.parse(four_runs["unmeasurable"].directory.path / "junit.xml").iter("error")
    )
    assert {error.attrib["type"] for error in errors} >= {"CompilerError"}


GRID_OF_MANY = (
    '[grid]\nmemory_modes = ["Shared_Sram", "Sram_Only"]\ntargets = ["sim"]\n[workloads]\n'
)


def workers_of(pid: int) -> list[psutil.Process]:
    """The xdist workers that live; children come and go while one looks."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children():
            with contextlib.suppress(psutil.Error):
                if any("sys.stdin.readline" in part for part in child.cmdline()):
                    found.append(child)
    return found


#: How xdist may distribute the tests.
DISTRIBUTIONS = {
    "as usual": (),
    "load": ("--dist=load",),
    "no restart": ("--dist=load", "--max-worker-restart=0"),
}
#: `make kills` asks for so many runs of each, with workers killed at 70 to 95 % of the tests.
KILLS = int(os.environ.get("BENCH_KILLS", "0"))
SHARES = [0.7 + 0.25 * number / max(1, KILLS - 1) for number in range(KILLS)]
MOMENTS = [(name, share) for name in DISTRIBUTIONS for share in SHARES] or [
    ("as usual", 0.0),
    ("as usual", 0.8),
    ("load", 0.95),
    ("no restart", 0.7),
]


@pytest.mark.slow
@pytest.mark.parametrize(("distribution", "share"), MOMENTS)
def test_a_run_ends_when_a_worker_is_killed(
    tmp_path: Path, distribution: str, share: float
) -> None:
    """Killed at that share of the tests: the run ends soon, red, and every test has its case."""
    runner = BenchRunner(tmp_path)
    generator = np.random.default_rng(1)
    names = [f"m{i}" for i in range(4 if KILLS else 2)]
    for name in names:
        weights = [generator.integers(-127, 128, (8, 16), dtype=np.int8)]
        (tmp_path / f"{name}.tflite").write_bytes(mlp(weights, softmax=False))
    config = runner.write_config(
        GRID_OF_MANY + "".join(f'{name} = "{name}.tflite"\n' for name in names)
    )
    process = runner.start(config, "-n", "2", "-q", *DISTRIBUTIONS[distribution])
    total = len(names) * (8 * len(SUITES) + 2)
    at_share(runner, process, share * total)
    killed = workers_of(process.pid)
    if killed:
        killed[0].kill()
    output, _ = process.communicate(timeout=300)
    counts, cases = by_junitparser(runner.results / "latest" / "junit.xml")
    assert len(cases) == total, output[-3000:]
    if counts[1]:
        # Status 2 where pytest was told to start no other worker; 3 where one of xdist's own
        # schedulers sends tests to a worker that has just died.
        allowed = (75,) if distribution == "as usual" else (75, 2, 3)
        assert process.returncode in allowed, output[-3000:]
        again = runner.run(config, "-n", "2")
        assert again.returncode == 0, again.output[-3000:]
    elif distribution != "no restart":
        # It had nothing left to do when it was killed.
        assert process.returncode == 0, output[-3000:]


def at_share(runner: BenchRunner, process: subprocess.Popen[str], ended: float) -> None:
    """Wait until so many tests have ended, or the run has."""
    run = runner.results / "latest"
    path = run / "outcomes.jsonl"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        lines = path.read_text(encoding="utf-8").count("\n") if path.exists() else 0
        if (run / "selection.json").exists() and lines >= ended and workers_of(process.pid):
            return
        time.sleep(0.01)


def test_a_cell_that_kills_its_worker_is_not_given_to_another(tmp_path: Path) -> None:
    runner = BenchRunner(tmp_path)
    generator = np.random.default_rng(1)
    for name in ("good", "deadly"):
        weights = [generator.integers(-127, 128, (8, 16), dtype=np.int8)]
        (tmp_path / f"{name}.tflite").write_bytes(mlp(weights, softmax=False))
    # A worker kills itself while it measures the cells of `deadly`, and notes that it was there.
    plugin = tmp_path / "killer.py"
    plugin.write_text(
        "import os, signal\n"
        "from bench.judging.judge import Judge\n"
        "real = Judge.__init__\n"
        "def made(self, config, measure, *rest):\n"
        "    real(self, config, lambda cell: deadly(measure, cell), *rest)\n"
        "def deadly(measure, cell):\n"
        "    if cell.workload == 'deadly':\n"
        f"        with open({str(tmp_path / 'deaths')!r}, 'a') as stream:\n"
        "            stream.write(cell.id + '\\n')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return measure(cell)\n"
        "Judge.__init__ = made\n",
        encoding="utf-8",
    )
    config = runner.write_config(
        GRID.replace("[128]", "[32, 64]")
        + '[workloads]\ngood = "good.tflite"\ndeadly = "deadly.tflite"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
        run = runner.run(config, "-n", "2", "-p", "killer", timeout=300)
    assert run.returncode == 75, run.output
    deaths = (tmp_path / "deaths").read_text(encoding="utf-8").split()
    assert sorted(deaths) == sorted(set(deaths)), "each deadly cell was tried once"
    assert {record.cell.workload for record in run.records().values()} == {"good"}
    lost = {one.cell.id: one.error for one in run.directory.unmeasured().found}
    assert lost == dict.fromkeys(deaths, "WorkerDied")
    names = by_junitparser(run.directory.path / "junit.xml")[1]
    assert len(names) == 4 * len(SUITES) + 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_signal_leaves_the_reports(tmp_path: Path, number: int, workers: str) -> None:
    runner = BenchRunner(tmp_path)
    (tmp_path / "net.tflite").write_bytes(decoder(2))
    config = runner.write_config(NET.replace("[128]", "[32, 64, 128, 256]"))
    # So slow that the signal comes long before the end.
    slow = "import time\n\n\ndef pytest_runtest_setup():\n    time.sleep(0.3)\n"
    (tmp_path / "slow_tests.py").write_text(slow, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
        process = runner.start(config, "-n", workers, "-p", "slow_tests")
    outcomes = runner.results / "latest" / "selection.json"
    deadline = time.monotonic() + 120
    while not outcomes.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2, output
    counts, names = by_junitparser(runner.results / "latest" / "junit.xml")
    assert len(names) == 4 * len(SUITES) + 1
    assert counts[1] > 0, "what was not judged is an error"
