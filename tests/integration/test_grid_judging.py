"""`bench run --judge cells` finds, says and leaves what a run with a test for each figure does."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import psutil
import pytest

from bench.history.database import reading
from bench.records.record import Status
from tests.support.bench_runs import QUICK, BenchRun, Judging
from tests.support.benchmark_runs import run_benchmark
from tests.support.models.tflite_factory import mlp

GRID = """
[grid]
macs = [64, 128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]

[workloads.good]
model = "net.tflite"
limits = [{ metric = "npu_cycles", max = 1_000_000 }]

[workloads.other]
model = "net.tflite"
"""
#: What becomes of a run -> the configuration, and whether it fails.
CONDITIONS = {
    "green": (GRID, False),
    "limits broken": (GRID.replace("1_000_000", "1"), True),
    "unmeasurable": (GRID + "[vela]\ntimeout_s = 0.001\n", True),
    "no device": (GRID.replace('["sim"]', '["sim", "fvp"]'), False),
}
#: Ends its process with SIGKILL when that measures a cell of the workload `deadly`.
DEADLY = """
import os, signal, threading, time
from pathlib import Path

name = os.environ.get("PYTEST_XDIST_WORKER", "")

def watch():
    note = Path({results!r}, "latest", "workers", name)
    while True:
        try:
            if note.read_text().startswith("deadly"):
                os.kill(os.getpid(), signal.SIGKILL)
        except OSError:
            pass
        time.sleep(0.0005)

if name.startswith("judge"):
    threading.Thread(target=watch, daemon=True).start()
"""


@dataclass(frozen=True)
class Pair:
    """The same run, made in both ways."""

    tests: BenchRun
    cells: BenchRun


def both(directory: Path, config: str, cache: Path, workers: str) -> Pair:
    made = []
    for judge in ("tests", "cells"):
        runner = Judging(directory, judge, cache)
        made.append(runner.run(runner.write_config(config), "-n", workers, "--no-bench-ci"))
    return Pair(*made)


def known(text: str) -> str:
    """`text` without the names of temporary files, which Vela's command has."""
    return re.sub(r"[0-9a-f]{16}/files/\.vela-\w+", "TEMPORARY", text)


def records(run: BenchRun) -> dict[str, str]:
    """All files of cells, sweeps and orders."""
    return {name: known(content.decode()) for name, content in run.record_files().items()}


def junit(run: BenchRun) -> str:
    """The JUnit file of the bench, without the times."""
    text = (run.directory.path / "junit.xml").read_text(encoding="utf-8")
    return known(re.sub(r' time="[^"]*"', "", text))


def told(run: BenchRun) -> list[str]:
    """What the bench says at the end, without the names of files, and the tables before it."""
    section = run.output[run.output.index(" Ethos-U55 regression bench ") :]
    kept = [line for line in section.splitlines() if line.startswith(("bench: ", "│", "┃"))]
    return [re.sub(r"\S*/\S+", "PATH", line) for line in kept]


def outcomes(run: BenchRun) -> list[tuple[str, str, str]]:
    """Name, outcome and words of each test, as the run's directory has them."""
    lines = (run.directory.path / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    # xdist puts the name of its worker before the words.
    words = [re.sub(r"^\[gw\d+\] .*\n", "", known(one["text"])) for one in found]
    return sorted((o["nodeid"], o["outcome"], text) for o, text in zip(found, words, strict=True))


def figures(run: BenchRun) -> list[tuple[object, ...]]:
    """What the history has of the run."""
    with reading(run.directory.path.parent / "history.sqlite") as database:
        tables = [
            row[0]
            for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return sorted((t, database.execute(f"SELECT count(*) FROM {t}").fetchone()) for t in tables)


def alike(pair: Pair) -> None:
    """Whether both ways found, said and left the same."""
    tests, cells = pair.tests, pair.cells
    assert cells.returncode == tests.returncode, cells.output
    assert records(cells) == records(tests)
    assert junit(cells) == junit(tests)
    assert told(cells) == told(tests)
    assert outcomes(cells) == outcomes(tests)
    assert figures(cells) == figures(tests)
    for name in ("selection.json", "baselines.json"):
        files = [(run.directory.path / name).read_bytes() for run in (tests, cells)]
        assert files[0] == files[1], name
    left = [
        {path.name for path in run.directory.path.iterdir()}
        - {"pytest.xml", "logs", "progress.jsonl"}
        for run in (tests, cells)
    ]
    assert left[0] == left[1]
    # pytest's own counts, and those of the JUnit file.
    counted = Counter(tests.outcomes().values())
    suites = ElementTree.parse(cells.directory.path / "junit.xml").getroot()
    assert int(suites.attrib["tests"]) == sum(counted.values()) == len(outcomes(cells))
    failed = int(suites.attrib["failures"]) + int(suites.attrib["errors"])
    assert failed == counted["failure"] + counted["error"]
    assert tests.output.splitlines()[-1].split(" in ")[0].strip("= ") == (
        cells.output.splitlines()[-1].split(" in ")[0].strip("= ")
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param(name, marks=[] if name == "limits broken" else [pytest.mark.slow])
        for name in CONDITIONS
    ],
)
def test_both_ways_end_alike(
    tmp_path: Path, cache: Path, condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_FVP", raising=False)
    text, fails = CONDITIONS[condition]
    weights = [np.random.default_rng(5).integers(-127, 128, (10, 32), dtype=np.int8)]
    if condition == "unmeasurable":
        # Not one that was compiled before.
        weights = [weights[0][:, ::-1].copy()]
    (tmp_path / "net.tflite").write_bytes(mlp(weights, softmax=False))
    pair = both(tmp_path, text, cache, "1" if condition == "green" else "2")
    assert pair.tests.returncode == int(fails), pair.tests.output
    alike(pair)
    statuses = {one.status for one in pair.cells.directory.unmeasured().found}
    assert statuses == {
        "unmeasurable": {Status.INCOMPLETE},
        "no device": {Status.UNAVAILABLE},
    }.get(condition, set())


@pytest.mark.long
def test_both_ways_judge_a_study_with_orders_alike(tmp_path: Path, cache: Path) -> None:
    pair = both(tmp_path, QUICK, cache, "2")
    assert list((pair.cells.directory.path / "orders").iterdir())
    alike(pair)


def test_a_process_that_is_killed_costs_its_cell_only(tmp_path: Path) -> None:
    text = GRID + '\n[workloads.deadly]\nmodel = "deadly.tflite"\n'
    generator = np.random.default_rng(6)
    for name in ("net", "deadly"):
        weights = [generator.integers(-127, 128, (10, 32), dtype=np.int8)]
        (tmp_path / f"{name}.tflite").write_bytes(mlp(weights, softmax=False))
    runner = Judging(tmp_path, "cells", tmp_path / "cache")
    site = tmp_path / "site"
    site.mkdir()
    text_of_site = DEADLY.format(results=str(runner.results))
    (site / "sitecustomize.py").write_text(text_of_site, encoding="utf-8")
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    environment = runner.environment() | {"PYTHONPATH": path}
    runner.environment = lambda: environment  # type: ignore[method-assign]
    run = runner.run(runner.write_config(text), "-n", "2", "--no-bench-ci")
    assert run.returncode == 75, run.output
    lost = {one.cell.id: one for one in run.directory.unmeasured().found}
    assert {one.cell.workload for one in lost.values()} == {"deadly"}
    assert len(lost) == 2
    assert {one.error for one in lost.values()} == {"WorkerDied"}
    assert len(run.records()) == 4
    ended = [name for name, _, _ in outcomes(run)]
    assert len(ended) == len(set(ended)) == 6 * 8 + 3


@pytest.mark.slow
def test_ctrl_c_ends_it_with_its_reports_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    # Many cells, so there is time.
    names = "".join(f'[workloads.net{i}]\nmodel = "net.tflite"\n' for i in range(200))
    weights = [np.random.default_rng(5).integers(-127, 128, (10, 32), dtype=np.int8)]
    (tmp_path / "net.tflite").write_bytes(mlp(weights, softmax=False))
    runner = Judging(tmp_path, "cells", cache)
    process = runner.start(runner.write_config(GRID + names), "-n", "2", "--no-bench-ci")
    latest = runner.results / "latest" / "outcomes.jsonl"
    while not latest.exists() and process.poll() is None:
        psutil.wait_procs([], timeout=0.05)
    judges = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2, output
    assert "junit.xml" in output
    assert judges
    assert not psutil.wait_procs(judges, timeout=10)[1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-k", "cycles"], "-k"),
        (["--junitxml=x.xml"], "--junitxml"),
        (["tests/regression/test_npu_cycles.py"], "tests by name"),
    ],
)
def test_what_needs_tests_is_refused(tmp_path: Path, arguments: list[str], named: str) -> None:
    runner = Judging(tmp_path, "cells", tmp_path / "cache")
    process = runner.start(runner.write_config(GRID), *arguments)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 4
    assert f"--judge cells makes no tests, which these need: {named}" in output
    assert not runner.results.exists()


@pytest.mark.long
@pytest.mark.speed
def test_a_large_warm_grid_costs_little_more_than_empty_tests(tmp_path: Path) -> None:
    """Judged by cells, with all reports, against as many tests of pytest that do nothing."""
    run = run_benchmark(tmp_path, "large_grid", "--cells", "400", "--judge", "cells")
    assert run.results is not None, run.output
    assert run.results["ratio"] <= 3, run.output
