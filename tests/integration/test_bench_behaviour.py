"""How the bench behaves when it is raced, killed, tightened, misconfigured."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from bench.cache import ArtefactCache
from bench.records.run_directory import RunDirectory
from tests.support.bench_runs import QUICK, ROOT, BenchRun, BenchRunner


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[BenchRunner, Path, BenchRun]:
    """The quick grid, run once on an empty cache with `-n 0`."""
    runner = BenchRunner(tmp_path_factory.mktemp("quick"))
    config = runner.write_config(QUICK)
    return runner, config, runner.run(config, "-n", "0")


def test_quick_grid_passes(quick: tuple[BenchRunner, Path, BenchRun]) -> None:
    _, _, run = quick
    assert run.returncode == 0, run.output[-4000:]
    assert len(run.records()) == 8


def test_a_process_that_measures_alone_trains_the_next_variant_meanwhile(
    quick: tuple[BenchRunner, Path, BenchRun],
) -> None:
    work = quick[2].work()
    trained = [name for kind, name in work if kind == "train"]
    assert len(trained) == len(set(trained)) == 4
    for before, after in itertools.pairwise(trained):
        measured = [i for i, (_, name) in enumerate(work) if name.startswith(f"{before}-u55_")]
        assert work.index(("train", after)) < max(measured)


@pytest.mark.slow
def test_two_benches_at_once_build_each_artefact_once_and_agree_with_one_alone(
    quick: tuple[BenchRunner, Path, BenchRun], tmp_path: Path
) -> None:
    _, config, alone = quick
    runner = BenchRunner(tmp_path)
    runs = [runner.start(config, "-n", "2", results=tmp_path / f"results{i}") for i in range(2)]
    outputs = [run.communicate(timeout=900)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    both = []
    for i in range(2):
        latest = RunDirectory((tmp_path / f"results{i}" / "latest").resolve())
        both.append(BenchRun(0, outputs[i], 0, 0, latest, runner.cache))
        assert both[i].record_files() == alone.record_files()
    work = both[0].work() + both[1].work()
    assert Counter(kind for kind, _ in work) == {
        "read": 1,
        "train": 4,
        "compile": 8,
        "reference": 4,
        "measure": 8,
    }
    cache = ArtefactCache(runner.cache)
    # The test set, fitted to the models.
    assert cache.stats().total.entries == len(work) + 1
    assert cache.verify() == []


def test_a_figure_changed_in_the_cache_is_measured_again(
    quick: tuple[BenchRunner, Path, BenchRun], tmp_path: Path
) -> None:
    """One digit of a stored measurement, same size: the record is as before, and it is told."""
    sound, config, before = quick
    runner = BenchRunner(tmp_path)
    shutil.copytree(sound.cache, runner.cache)
    stored = next(runner.cache.rglob("measurement.json"))
    text = stored.read_text(encoding="utf-8")
    first = re.search(r'"NPU_ACTIVE": (\d)', text)
    assert first is not None
    digit = str(9 - int(first[1]))
    stored.write_text(text[: first.start(1)] + digit + text[first.end(1) :], encoding="utf-8")
    run = runner.run(config, "-n", "2")
    assert run.returncode == 0
    assert run.record_files() == before.record_files()
    assert [kind for kind, _ in run.work()] == ["measure"]
    told = [line for line in run.output.splitlines() if "damaged entry" in line]
    assert len(told) == 1
    assert told[0].startswith("bench: cache: damaged entry")
    assert "measurement.json has sha256" in told[0]


@pytest.mark.parametrize(
    "moments",
    [pytest.param(2, marks=pytest.mark.slow), pytest.param(6, marks=pytest.mark.long)],
)
def test_killed_at_random_moments_then_passes(tmp_path: Path, moments: int) -> None:
    runner = BenchRunner(tmp_path)
    config = runner.write_config(QUICK)
    chance = random.Random(20261123)
    for i in range(moments):
        process = runner.start(config, "-n", "2")
        time.sleep(chance.uniform(0.5, 7.0))
        # Half of the time everything dies at once, half of the time only the controller: its
        # workers and builders must then end by themselves.
        if i % 2:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
    run = runner.run(config, "-n", "2")
    assert run.returncode == 0, run.output[-4000:]
    assert len(run.records()) == 8
    cache = ArtefactCache(runner.cache)
    assert all(problem.harmless for problem in cache.verify())
    cache.gc()
    assert cache.verify() == []


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _processes_doing(
    process: subprocess.Popen[str], progress: Path, kind: str, count: int
) -> list[psutil.Process]:
    """The bench's processes once it works at `kind`: the workers, and a builder or Vela."""
    end = time.monotonic() + 300
    words = f'"kind": "{kind}"'
    while not (progress.exists() and words in progress.read_text(encoding="utf-8")) or (
        len(started := _descendants(process.pid)) < count
    ):
        assert process.poll() is None, process.communicate()[0][-4000:]
        assert time.monotonic() < end, f"the bench does not come to {kind}"
        time.sleep(0.02)
    return started


@pytest.mark.parametrize(("moment", "workers"), [("train", "2"), ("train", "1"), ("compile", "2")])
def test_ctrl_c_ends_everything(
    quick: tuple[BenchRunner, Path, BenchRun], tmp_path: Path, moment: str, workers: str
) -> None:
    runner = BenchRunner(tmp_path)
    config = runner.write_config(QUICK)
    if moment == "compile":
        # The trained variants are there, what Vela makes of them with this option is not.
        shutil.copytree(quick[0].cache, runner.cache)
        config = runner.write_config(QUICK + '[vela]\noptimise = "Size"\n')
    process = runner.start(config, "-n", workers)
    progress = runner.results / "latest" / "progress.jsonl"
    started = _processes_doing(process, progress, moment, int(workers) + 1)
    # What a terminal does: the signal reaches the whole foreground group.
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode != 0
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive, [p.cmdline() for p in alive]
    cache = ArtefactCache(runner.cache)
    assert all(problem.harmless for problem in cache.verify())
    cache.gc()
    assert cache.verify() == []


def test_a_tightened_limit_fails_exactly_the_right_tests(
    quick: tuple[BenchRunner, Path, BenchRun],
) -> None:
    runner, _, _ = quick
    rule = '[[workloads.quick.limits]]\nmetric = "npu_cycles"\nvariants = ["pruned"]\nmax = 100\n'
    tight = runner.write_config(QUICK + rule, "tight.toml")
    run = runner.run(tight, "-n", "2")
    assert run.returncode == 1
    failed = {name for name, outcome in run.outcomes().items() if outcome == "failure"}
    assert failed == {
        "test_npu_cycles[quick-pruned-u55_32-shared_sram-vela]",
        "test_npu_cycles[quick-pruned-u55_256-shared_sram-vela]",
    }
    cell = "quick-pruned-u55_256-shared_sram-vela"
    line = next(line for line in run.output.splitlines() if line.startswith(f"{cell}: npu_cycles"))
    measured = run.records()[cell].measurement.counters["NPU_ACTIVE"]
    assert f"{measured:,} cycles (Vela's estimate), must be at most 100 cycles" in line
    assert "workloads.quick.limits[5].max" in line
    assert f"pytest --bench-config={tight} --bench-cache={runner.cache} " in line
    assert f"tests/regression/test_npu_cycles.py::test_npu_cycles[{cell}]" in line
    # The same sentence is what a dashboard shows.
    merged = ElementTree.parse(run.directory.path / "junit.xml")
    failures = {
        case.attrib["name"]: (case, failure)
        for case in merged.iter("testcase")
        for failure in case.findall("failure")
    }
    assert len(failures) == 2
    case, failure = failures[f"{cell}:npu_cycles"]
    assert line in (failure.text or "").splitlines()
    assert failure.attrib["message"].startswith("npu_cycles ")
    assert failure.attrib["message"].endswith("must be at most 100 cycles")
    assert Path(case.attrib["file"]) == tight
    assert (
        tight.read_text(encoding="utf-8").splitlines()[int(case.attrib["line"]) - 1] == "max = 100"
    )


def test_the_printed_command_reproduces_the_failure(
    quick: tuple[BenchRunner, Path, BenchRun],
) -> None:
    runner, _, _ = quick
    rule = '[[workloads.quick.limits]]\nmetric = "encoded_weights_kib"\nmax = 50\n'
    tight = runner.write_config(QUICK + rule, "tight_size.toml")
    run = runner.run(tight, "-n", "0")
    line = next(line for line in run.output.splitlines() if "reproduce: pytest" in line)
    node = line.rpartition(" '")[2].rstrip("'")
    again = runner.run(tight, "-n", "0", node)
    assert again.returncode == 1
    assert list(again.outcomes().values()) == ["failure"]


def test_a_missing_limit_is_a_counted_skip_not_a_pass(
    quick: tuple[BenchRunner, Path, BenchRun],
) -> None:
    runner, _, _ = quick
    without = QUICK[: QUICK.index('[[workloads.quick.limits]]\nmetric = "npu_cycles"')]
    run = runner.run(runner.write_config(without, "without.toml"), "-n", "0", "-k", "npu_cycles")
    assert set(run.outcomes().values()) == {"skipped"}
    assert "NO_BASELINE" in run.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_empty_selection_fails(quick: tuple[BenchRunner, Path, BenchRun], workers: str) -> None:
    runner, config, _ = quick
    run = runner.run(config, "-n", workers, "-k", "no_such_cell")
    assert run.returncode != 0


def test_an_empty_grid_fails(quick: tuple[BenchRunner, Path, BenchRun]) -> None:
    runner, _, _ = quick
    config = runner.write_config(QUICK.replace("macs = [32, 256]", "macs = []"), "empty.toml")
    run = runner.run(config, "-n", "0")
    assert run.returncode != 0
    assert f"{config}: the grid is empty" in run.output


def test_results_on_a_full_disk_fail_with_the_reason(
    quick: tuple[BenchRunner, Path, BenchRun], tmp_path: Path
) -> None:
    runner, config, _ = quick
    command = runner.command(config, "-n", "0", results=tmp_path)
    # Room for the run's manifest and a record or two, not for pytest's report of the failures.
    # The mount is seen by that process alone and ends with it.
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    script = 'mount -t tmpfs -o size=60k none "$0"; exec "$@"'
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*mount, script, str(tmp_path), "true"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("may not mount here: results on a full disk are NOT tested")
    done = subprocess.run(
        [*mount, script, str(tmp_path), *command],
        cwd=ROOT,
        env=runner.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 75, done.stdout
    lines = done.stdout.splitlines()
    title = next(i for i, line in enumerate(lines) if re.match("_+ test_device_model", line))
    assert re.match(
        rf"quick-\S+: could not be measured: {tmp_path}/.*\.json: cannot be written: No space left",
        lines[title + 1],
    )
    assert "another place: --bench-results=DIR" in lines[title + 2]
    assert "Traceback" not in done.stdout + done.stderr
    assert re.search(r"bench: a report is missing: .*No space left", done.stdout)
