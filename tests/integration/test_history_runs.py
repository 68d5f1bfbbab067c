"""Runs of the bench and the history they leave: whole, stopped, killed, and where it cannot be."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.records.run import RunManifest
from tests.support.bench_runs import ROOT, BenchRunner
from tests.support.models.tflite_factory import mlp

CONFIG = """
[grid]
macs = [32, 128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]

[workloads]
mine = "mine.tflite"
"""
CELL = "mine-base-u55_128-shared_sram-sim"
#: The suites of one run, in seconds little.
FEW = ("-n", "0", "-k", "npu_cycles or device_model")


def write_model(directory: Path, width: int) -> None:
    weights = np.random.default_rng(1).integers(-127, 127, (width, 64), dtype=np.int8)
    (directory / "mine.tflite").write_bytes(mlp([weights]))


@pytest.fixture
def runner(tmp_path: Path) -> BenchRunner:
    write_model(tmp_path, 16)
    return BenchRunner(tmp_path)


def bench(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, run where the configuration is."""
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", "history", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


def series(directory: Path, metric: str, cell: str = CELL) -> dict[str, Any]:
    done = bench(directory, metric, cell, "--json")
    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def git(directory: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=directory, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_new_model_is_a_step_with_its_commit(runner: BenchRunner) -> None:
    """As a user meets it: two runs, a commit with another file, a third run."""
    config = runner.write_config(CONFIG)
    (runner.directory / ".gitignore").write_text("results/\ncache/\n", encoding="utf-8")
    git(runner.directory, "init", "--quiet", "--initial-branch=trunk")
    git(runner.directory, "add", ".")
    git(runner.directory, "commit", "--quiet", "--message=one")
    runs = [runner.run(config, *FEW), runner.run(config, "-n", "2", *FEW[2:])]
    write_model(runner.directory, 64)
    git(runner.directory, "commit", "--quiet", "--all", "--message=two")
    runs.append(runner.run(config, *FEW))
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert f"history {runner.results / 'history.sqlite'}: 3 runs; this one with 2 cells" in (
        runs[2].output
    )

    found = series(runner.directory, "device_model_kib")
    assert [point["run"] for point in found["points"]] == [run.directory.path.name for run in runs]
    for point, run in zip(found["points"], runs, strict=True):
        record = run.records()[CELL]
        assert point["value"] == record.compilation.device_model_bytes / 1024
        assert (point["model_sha256"], point["branch"]) == (record.model.sha256, "trunk")
        assert (point["complete"], point["source"]) == (True, "compiler")
    [step] = found["steps"]
    before, after = (found["points"][i]["model_sha256"][:12] for i in (1, 2))
    old, new = (found["points"][i]["commit"][:10] for i in (1, 2))
    assert step["index"] == 2
    assert step["changes"] == [
        f"training: file sha256 {before} -> {after}",
        f"commit {old} -> {new}",
    ]
    shown = bench(runner.directory, "npu_cycles", "mine-*").stdout
    assert shown.count("training: file sha256") == 2
    listed = bench(runner.directory, "list").stdout
    assert listed.count("2 of 2") == 3
    assert new in listed


def test_the_configuration_says_where_the_history_is(runner: BenchRunner) -> None:
    config = runner.write_config(CONFIG + '\n[history]\npath = "kept/all.sqlite"\n')
    run = runner.run(config, *FEW)
    assert run.returncode == 0
    assert (runner.directory / "kept" / "all.sqlite").exists()
    assert not (runner.results / "history.sqlite").exists()
    assert len(series(runner.directory, "npu_cycles")["points"]) == 1


def test_what_a_killed_run_measured_is_added_by_hand_and_is_incomplete(
    runner: BenchRunner,
) -> None:
    """SIGTERM still adds the run; after SIGKILL its directory is added, as often as one likes."""
    config = runner.write_config(CONFIG)
    for number in (signal.SIGTERM, signal.SIGKILL):
        shutil.rmtree(runner.cache, ignore_errors=True)
        before = (runner.results / "latest").resolve()
        process = runner.start(config, "-n", "0")
        latest = runner.results / "latest"
        deadline = time.monotonic() + 120
        while not (latest.resolve() != before and list(latest.glob("cells/*.json"))):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, number)
        output, _ = process.communicate(timeout=120)
        assert ("bench: history" in output) == (number == signal.SIGTERM)
    runs = sorted(runner.results.glob("2*"))
    killed = runs[1].name
    listed = json.loads(bench(runner.directory, "list", "--json").stdout)
    assert [(run["name"], run["complete"]) for run in listed] == [(runs[0].name, False)]
    for word in ("added", "was there already"):
        done = bench(runner.directory, "add", *map(str, runs))
        assert done.returncode == 0, done.stderr
        assert f"{killed}: {word}, " in done.stdout
        assert "incomplete" in done.stdout
    listed = json.loads(bench(runner.directory, "list", "--json").stdout)
    assert [run["name"] for run in listed] == [run.name for run in runs]


def test_a_run_that_cannot_be_added_says_so_and_is_as_good_as_before(runner: BenchRunner) -> None:
    config = runner.write_config(CONFIG)
    runner.results.mkdir()
    broken = runner.results / "history.sqlite"
    broken.write_bytes(b"no database at all")
    run = runner.run(config, *FEW)
    assert run.returncode == 0
    assert f"bench: the HISTORY lacks this run: {broken}: is damaged, or no history" in run.output
    assert f"bench history add {run.directory.path}" in run.output
    assert broken.read_bytes() == b"no database at all"
    assert len(run.records()) == 2
    # The command that it names works, once the file is out of the way.
    broken.unlink()
    done = bench(runner.directory, "add", str(run.directory.path))
    assert "added, 2 cells" in done.stdout


def test_a_history_that_was_asked_for_is_looked_at_first(runner: BenchRunner) -> None:
    config = runner.write_config(CONFIG)
    broken = runner.directory / "team.sqlite"
    broken.write_bytes(b"no database at all")
    process = runner.start(config, *FEW, f"--bench-history={broken}")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 4
    assert f"{broken}: is damaged, or no history" in output
    assert not runner.results.exists()


EVIL = "x\x1b[2J\x1b]2\x07\nFAILED forged\r\u202etxt[red]"


def test_what_a_strangers_run_says_reaches_no_terminal_as_commands(runner: BenchRunner) -> None:
    config = runner.write_config(CONFIG)
    run = runner.run(config, *FEW)
    directory = run.directory.path
    note = directory / "run.json"
    document = json.loads(note.read_text(encoding="utf-8"))
    document["host"] = EVIL
    document["surroundings"]["revision"] = {"commit": EVIL, "branch": EVIL, "absent": EVIL}
    document["surroundings"]["ci_job"]["address"] = EVIL
    document["surroundings"]["tools"]["ethos-u-vela"] = EVIL
    document["planned_cells"] = [EVIL[:1] + EVIL[9:].replace("/", ""), CELL]
    note.write_text(json.dumps(document), encoding="utf-8")
    assert RunManifest.model_validate(document).host != "x"
    record = directory / "cells" / f"{CELL}.json"
    told = json.loads(record.read_text(encoding="utf-8"))
    told["accuracy_absent"] = EVIL
    told["model"]["provenance"]["evil"] = EVIL
    record.write_text(json.dumps(told), encoding="utf-8")
    odd = directory.rename(directory.with_name("odd\x1b[2Jname"))
    output = ""
    for arguments in (
        ("add", str(odd)),
        ("list",),
        ("list", "--json"),
        ("npu_cycles", CELL),
        ("npu_cycles", "mine-*"),
        ("accuracy", CELL),
        ("accuracy", CELL, "--json"),
        (EVIL, CELL),
        ("npu_cycles", EVIL),
        ("npu_cycles", CELL, "--since", EVIL),
        ("npu_cycles", CELL, "--store", EVIL),
    ):
        done = bench(runner.directory, *arguments)
        output += done.stdout + done.stderr
    hidden = {c for c in output if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}
    assert hidden <= {"\n"}, hidden
    assert not any(line.startswith("FAILED forged") for line in output.splitlines())
    assert r"\x1b[2J" in output
