"""Accepting figures and being judged against them, as a user does it, in whole runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from bench.baselines.files import read_file
from bench.baselines.text import parse
from bench.records.record import Status
from tests.support.bench_runs import BenchRunner
from tests.support.models.tflite_factory import mlp

CONFIG = """
[grid]
macs = [32, 64, 128, 256]
memory_modes = ["Shared_Sram", "Sram_Only"]
targets = ["sim"]

[reference]
samples = 5

[workloads]
first = { model = "first.tflite", random_inputs = 5 }
second = { model = "second.tflite", random_inputs = 5 }
"""
UPDATE = "--bench-update-baselines=because"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> BenchRunner:
    """A project of two models whose figures are accepted."""
    directory = tmp_path_factory.mktemp("baselines")
    for seed, name in enumerate(("first", "second")):
        write_model(directory, name, seed)
    runner = BenchRunner(directory)
    run = runner.run(runner.write_config(CONFIG), "-n", "0", UPDATE)
    assert run.returncode == 0, run.output
    assert "224 new accepted" in run.output, run.output
    return runner


def write_model(directory: Path, name: str, seed: int, outputs: int = 16) -> None:
    random = np.random.default_rng(seed)
    weights = [random.integers(-127, 128, (outputs, 64), dtype=np.int8)]
    (directory / f"{name}.tflite").write_bytes(mlp(weights))


def files(directory: Path) -> dict[str, bytes]:
    root = directory / "baselines"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.toml")}


@pytest.mark.slow
@pytest.mark.long
def test_eight_workers_accept_what_one_process_accepts(runner: BenchRunner) -> None:
    before = files(runner.directory)
    assert set(before) == {"sim/first.toml", "sim/second.toml"}
    for path in (runner.directory / "baselines").rglob("*.toml"):
        path.unlink()
    config = runner.directory / "bench.toml"
    run = runner.run(config, "-n", "8", UPDATE)
    assert run.returncode == 0, run.output
    assert files(runner.directory) == before


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_the_old_file_or_the_new(
    runner: BenchRunner, tmp_path: Path
) -> None:
    """The moments from the last test on, in which the controller reads, accepts and writes."""
    config = runner.directory / "bench.toml"
    old = files(runner.directory)
    text = config.read_text(encoding="utf-8").replace("[vela]", "")
    config.write_text(text + '\n[vela]\noptimise = "Size"\n', encoding="utf-8")
    try:
        seen = set()
        for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
            process = runner.start(config, "-n", "0", UPDATE)
            wait_for_tests(runner, process, share=1)
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            for name, content in files(runner.directory).items():
                parse(content.decode(), name)
                seen.add((name, content == old[name]))
        run = runner.run(config, "-n", "0", UPDATE)
        assert run.returncode == 0, run.output
        new = files(runner.directory)
        leftovers = {p.name for p in (runner.directory / "baselines").rglob("*") if p.is_file()}
        assert {name.split("/")[1] for name in new} <= leftovers
        assert all(was_old or new[name] != old[name] for name, was_old in seen)
    finally:
        config.write_text(CONFIG, encoding="utf-8")
        runner.run(config, "-n", "0", UPDATE)


def wait_for_tests(runner: BenchRunner, process: subprocess.Popen[str], share: float) -> None:
    """Until `share` of the tests of the run that `process` is have ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        latest = runner.results / "latest"
        outcomes, selection = latest / "outcomes.jsonl", latest / "selection.json"
        # The name of a run ends with the number of its process.
        if latest.resolve().name.endswith(f"-{process.pid}") and outcomes.exists():
            tests = selection.read_text(encoding="utf-8").count("nodeid")
            if outcomes.read_text(encoding="utf-8").count("\n") >= share * tests:
                return
        time.sleep(0.005)


def test_a_changed_compiler_option_fails_with_its_cause(runner: BenchRunner) -> None:
    config = runner.write_config(CONFIG + "[vela]\ncpu_tensor_alignment = 4096\n", "option.toml")
    run = runner.run(config, "-n", "0", "-k", "u55_128")
    changed = [
        verdict
        for record in run.records().values()
        for verdict in record.verdicts
        if verdict.status in (Status.FAIL, Status.IMPROVED)
    ]
    assert "sram_kib" in {verdict.metric for verdict in changed}
    assert all("--cpu-tensor-alignment 4096" in verdict.reason for verdict in changed)


def test_another_run_serves_as_baseline(runner: BenchRunner) -> None:
    config = runner.directory / "bench.toml"
    first = runner.run(config, "-n", "0", "-k", "first and u55_32")
    write_model(runner.directory, "first", seed=0, outputs=48)
    try:
        name = f"--bench-baseline={first.directory.path}"
        run = runner.run(config, "-n", "0", "-k", "test_npu_cycles and first and u55_32", name)
        assert run.returncode == 1
        assert str(first.directory.path) in run.output
        assert name in next(iter(run.records().values())).verdicts[0].reproduce
    finally:
        write_model(runner.directory, "first", seed=0)


def test_in_ci_what_was_not_judged_fails_and_at_a_desk_it_is_one_line(
    runner: BenchRunner, tmp_path: Path
) -> None:
    write_model(tmp_path, "first", 0)
    other = BenchRunner(tmp_path)
    text = CONFIG.replace('second = { model = "second.tflite", random_inputs = 5 }\n', "")
    config = other.write_config(text)
    selected = ("-n", "0", "-k", "u55_32", "-rs")
    desk = other.run(config, *selected)
    assert desk.returncode == 0, desk.output
    lines = [line for line in desk.output.splitlines() if line.startswith("SKIPPED")]
    assert sum("NO_BASELINE" in line for line in lines) == 1, lines
    assert "bench baseline accept" in desk.output
    ci = other.run(config, *selected, "--bench-ci")
    assert ci.returncode == 1
    by_variable = subprocess.run(
        other.command(config, *selected),
        env={**other.environment(), "CI": "true"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert by_variable.returncode == 1, by_variable.stdout
    accepted = other.run(config, "-n", "0", UPDATE)
    assert accepted.returncode == 0, accepted.output
    assert other.run(config, *selected, "--bench-ci").returncode == 0


def test_a_run_that_was_interrupted_updates_nothing(runner: BenchRunner) -> None:
    before = files(runner.directory)
    # An option of its own, so that nothing is in the cache and the run takes its time.
    option = "[vela]\ncpu_tensor_alignment = 256\n"
    config = runner.write_config(CONFIG + option, "interrupted.toml")
    process = runner.start(config, "-n", "0", UPDATE)
    wait_for_tests(runner, process, share=0.01)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert "baselines: not updated" in output
    assert files(runner.directory) == before


def test_a_damaged_file_stops_the_run_before_it_begins(runner: BenchRunner) -> None:
    path = runner.directory / "baselines" / "sim" / "first.toml"
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace("npu_cycles", "npu_cycle", 1), encoding="utf-8")
    try:
        run = runner.run(runner.directory / "bench.toml", "-n", "0")
        assert run.returncode == 4
        assert f"{path}: is no baselines file" in run.output
        assert "did you mean 'npu_cycles'" in run.output
    finally:
        path.write_text(content, encoding="utf-8")


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, "-C", directory, *arguments], check=True, capture_output=True)


def test_a_branch_is_compared_with_where_it_began(tmp_path: Path) -> None:
    """What others have accepted on main meanwhile is not blamed on the branch."""
    write_model(tmp_path, "first", 0)
    runner = BenchRunner(tmp_path)
    text = CONFIG.replace('second = { model = "second.tflite", random_inputs = 5 }\n', "")
    config = runner.write_config(text.replace("[32, 64, 128, 256]", "[64]"))
    assert runner.run(config, "-n", "0", UPDATE).returncode == 0
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "bench.toml", "first.tflite", "baselines")
    git(tmp_path, "commit", "-q", "-m", "a")
    git(tmp_path, "checkout", "-q", "-b", "branch")
    git(tmp_path, "checkout", "-q", "main")
    path = tmp_path / "baselines" / "sim" / "first.toml"
    raised = path.read_text(encoding="utf-8").replace(
        "npu_cycles = { value = ", "npu_cycles = { value = 1", 1
    )
    path.write_text(raised, encoding="utf-8")
    git(tmp_path, "commit", "-q", "-am", "others")
    moved = runner.run(config, "-n", "0", "-k", "test_npu_cycles", "--bench-baseline=git:main")
    assert "npu_cycles" in moved.output
    statuses = {v.status for r in moved.records().values() for v in r.verdicts if v.baseline}
    assert Status.IMPROVED in statuses, "main is far slower by now"
    began = runner.run(
        config, "-n", "0", "-k", "test_npu_cycles", "--bench-baseline=git:merge-base:branch"
    )
    assert began.returncode == 0, began.output
    statuses = {v.status for r in began.records().values() for v in r.verdicts if v.baseline}
    assert statuses == {Status.PASS}
    lost = runner.run(config, "-n", "0", "--bench-baseline=git:nowhere")
    assert lost.returncode == 4
    assert "git:nowhere: is no revision" in lost.output
    assert read_file(path, "o").cells
