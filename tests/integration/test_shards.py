"""A grid run in shards is the grid: the same records, verdicts and reports, and nothing missing.

Compared byte for byte, but for what depends on time: how long a test took, when and under which
name a run was made. The slow test does it with the shipped grid, whose models come from the cache.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from bench.cache import default_root
from bench.cli.main import commands
from bench.core.errors import BenchError
from bench.plan.document import read_plan
from bench.records.run_directory import RunDirectory
from tests.support.bench_runs import DEFAULT_CONFIG, BenchRun, BenchRunner
from tests.support.models.tflite_factory import mlp

NETS = ("first", "second", "third")
CONFIG = """
[grid]
macs = [64, 256]
memory_modes = ["Shared_Sram"]
targets = ["vela"]
"""
WORKLOAD = """
[workloads.{name}]
model = "{name}.tflite"
expect_bound = {{ Shared_Sram = "memory" }}
[[workloads.{name}.limits]]
metric = "npu_cycles"
max = {limit}
"""


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(commands, list(map(str, arguments)))


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> BenchRunner:
    """Three networks, of which one breaks its limit."""
    runner = BenchRunner(tmp_path_factory.mktemp("shards"))
    text = CONFIG
    for seed, name in enumerate(NETS):
        weights = np.random.default_rng(seed).integers(-127, 128, (8, 16 + seed), dtype=np.int8)
        (runner.directory / f"{name}.tflite").write_bytes(mlp([weights], softmax=False))
        text += WORKLOAD.format(name=name, limit=1 if name == "third" else 1_000_000)
    runner.write_config(text)
    return runner


@pytest.fixture(scope="module")
def whole(runner: BenchRunner) -> BenchRun:
    run = runner.run(runner.directory / "bench.toml", "-n", "0")
    assert run.returncode == 1, run.output
    return run


@pytest.fixture(scope="module")
def shards(runner: BenchRunner, whole: BenchRun) -> list[BenchRun]:
    """As many as there are networks, and one more, which is empty."""
    config = runner.directory / "bench.toml"
    return [runner.run(config, "-n", "0", f"--bench-shard={number}/4") for number in range(1, 5)]


def merge(runs: Sequence[BenchRun], place: Path) -> tuple[Result, RunDirectory]:
    """`bench report merge`, into `place`."""
    place.mkdir(parents=True)
    done = bench(
        *("report", "merge", *(run.directory.path for run in runs)),
        *("--output", place / "junit.xml", "--into", place / "run"),
    )
    return done, RunDirectory(place / "run")


def reports(run: Path, place: Path) -> dict[str, str]:
    """JUnit, JSON and Markdown of a run, without what depends on time and on its name."""
    place.mkdir(parents=True)
    words = ("--export", f"json={place / 'run.json'}", "--markdown", place / "run.md")
    assert bench("report", run).exit_code == 0
    assert bench("report", run, *words).exit_code == 0
    exported = json.loads((place / "run.json").read_text(encoding="utf-8"))
    for key in ("name", "started"):
        del exported[key]
    for case in exported["cases"]:
        del case["seconds"]
    return {
        "junit": without_times((run / "junit.xml").read_text(encoding="utf-8")),
        "json": json.dumps(exported, indent=1),
        "markdown": (place / "run.md").read_text(encoding="utf-8").replace(str(run), "RUN"),
    }


def without_times(junit: str) -> str:
    return re.sub(r' time="[0-9.]+"', "", junit)


def judged_files(run: RunDirectory) -> dict[str, bytes]:
    return {
        path.relative_to(run.path).as_posix(): path.read_bytes()
        for part in ("cells", "sweeps", "orders", "unmeasured")
        for path in (run.path / part).glob("*.json")
    }


def check_is_the_same(whole: BenchRun, parts: Sequence[BenchRun], place: Path) -> None:
    done, joined = merge(parts, place / "merge")
    assert done.exit_code == whole.returncode, done.output
    assert judged_files(joined) == judged_files(whole.directory)
    one, other = reports(whole.directory.path, place / "a"), reports(joined.path, place / "b")
    for name in one:
        assert one[name] == other[name], name
    merged = (place / "merge" / "junit.xml").read_text(encoding="utf-8")
    assert without_times(merged) == one["junit"]
    planned = whole.directory.manifest().planned_cells
    assert joined.manifest().planned_cells == planned


def test_shards_merge_to_the_report_of_one_run(
    whole: BenchRun, shards: list[BenchRun], tmp_path: Path
) -> None:
    check_is_the_same(whole, shards, tmp_path)


def test_a_shard_has_whole_workloads_and_its_own_verdict(shards: list[BenchRun]) -> None:
    cells = [sorted(run.records()) for run in shards]
    assert [len(found) for found in cells] == [2, 2, 2, 0]
    assert sorted({id_.split("-")[0] for found in cells[:3] for id_ in found}) == sorted(NETS)
    for run, found in zip(shards[:3], cells, strict=False):
        assert run.returncode == ("third" in found[0]), run.output
        # A sweep is judged where both of its cells are.
        assert len(run.directory.sweeps().found) == 1
        assert "2 of 2 planned cells measured" in run.output


def test_an_empty_shard_ends_well_and_says_why(shards: list[BenchRun]) -> None:
    last = shards[3]
    assert last.returncode == 0, last.output
    assert "this shard has no cell" in last.output
    assert last.directory.manifest().planned_cells == ()
    assert "HISTORY lacks" not in last.output


@pytest.mark.slow
def test_an_empty_shard_ends_well_with_workers_too(runner: BenchRunner, whole: BenchRun) -> None:
    run = runner.run(runner.directory / "bench.toml", "-n", "2", "--bench-shard=4/4")
    assert run.returncode == 0, run.output
    assert "this shard has no cell" in run.output


def test_a_missing_shard_fails_the_merge_and_its_cells_are_named(
    whole: BenchRun, shards: list[BenchRun], tmp_path: Path
) -> None:
    lost = next(run for run in shards if any(id_.startswith("first") for id_ in run.records()))
    number = shards.index(lost) + 1
    done, joined = merge([run for run in shards if run is not lost], tmp_path / "m")
    assert done.exit_code != 0
    assert f"missing: shard {number}/4" in done.output
    for cell in lost.records():
        assert f"INCOMPLETE: {cell}: no run reports it" in done.output
    assert "6 planned cells, 2 of them INCOMPLETE" in done.output
    # The joined run says so in its reports too.
    told = reports(joined.path, tmp_path / "r")
    for cell in lost.records():
        assert re.search(
            rf'name="{cell}:npu_cycles"[^>]*>\s*<error [^>]*NotReported', told["junit"]
        )
        (one,) = [c for c in json.loads(told["json"])["cells"] if c["id"] == cell]
        assert one["status"] == "incomplete"
        assert one["fails"]
    assert len(joined.manifest().planned_cells) == 6


@pytest.mark.slow
def test_a_shard_that_was_run_again_counts_once(
    runner: BenchRunner, whole: BenchRun, shards: list[BenchRun], tmp_path: Path
) -> None:
    again = runner.run(runner.directory / "bench.toml", "-n", "0", "--bench-shard=1/4")
    check_is_the_same(whole, [*shards, again], tmp_path)


def test_shards_of_other_tools_are_not_merged(shards: list[BenchRun], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shards[0].directory.path, copy)
    note = copy / "run.json"
    manifest = json.loads(note.read_text(encoding="utf-8"))
    manifest["surroundings"]["tools"]["ethos-u-vela"] = "1.0.0"
    note.write_text(json.dumps(manifest), encoding="utf-8")
    done = bench(
        *("report", "merge", copy, shards[1].directory.path, "--output", tmp_path / "j.xml")
    )
    assert isinstance(done.exception, BenchError)
    assert "different tools: ethos-u-vela" in str(done.exception)


def test_a_plan_says_what_is_cached_and_makes_nothing(
    runner: BenchRunner, whole: BenchRun, tmp_path: Path
) -> None:
    config = runner.directory / "bench.toml"
    empty, full = tmp_path / "empty.json", tmp_path / "full.json"
    none = tmp_path / "nothing"
    done = bench("plan", "--config", config, "--cache", none, "-o", empty)
    assert done.exit_code == 0, done.output
    files = [path for path in none.rglob("*") if path.is_file()] if none.exists() else []
    assert files == []
    done = bench("plan", "--config", config, "--cache", runner.cache, "-o", full, "--shards", 2)
    assert done.exit_code == 0, done.output
    assert "shard 2/2: 2 cells" in done.output
    before, after = read_plan(empty), read_plan(full)
    assert [step.id for step in before.steps] == [step.id for step in after.steps]
    made = {"compile", "measure", "reference"}
    assert not any(step.cached for step in before.steps if step.kind.value in made)
    assert all(step.cached for step in after.steps)
    # The runs are beside the configuration, so their times are known.
    assert {s.seconds_from.value for s in after.steps if s.kind.value == "compile"} == {
        "earlier runs"
    }
    assert after.tools["ethos-u-vela"]


def test_shards_by_a_plan_are_those_that_it_shows(
    runner: BenchRunner, whole: BenchRun, tmp_path: Path
) -> None:
    config, plan = runner.directory / "bench.toml", tmp_path / "plan.json"
    assert bench("plan", "--config", config, "--cache", tmp_path, "-o", plan).exit_code == 0
    # `first` takes an hour, it says: so the others are together.
    document = json.loads(plan.read_text(encoding="utf-8"))
    for step in document["steps"]:
        step["seconds"] = 3600.0 if step["workload"] == "first" else 1.0
    plan.write_text(json.dumps(document), encoding="utf-8")
    run = runner.run(config, "-n", "0", "--bench-shard=2/2", f"--bench-plan={plan}")
    assert {id_.split("-")[0] for id_ in run.records()} == {"second", "third"}
    document["config_sha256"] = "0" * 64
    plan.write_text(json.dumps(document), encoding="utf-8")
    other = runner.run(config, "-n", "0", "--bench-shard=2/2", f"--bench-plan={plan}")
    assert other.returncode == 4
    assert "is the plan of another configuration" in other.output


TRAINED = """
[grid]
macs = [64, 256]
memory_modes = ["Shared_Sram"]
targets = ["vela"]
[data]
mnist = "subset"
[workloads]
"""
STUDY = """
[workloads.{name}]
recipe = "mnist_fc"
order = ["pruned", "base"]
[workloads.{name}.variants]
base = {{ method = "train", epochs = 0.2, batch_size = 128 }}
pruned = {{ method = "prune", epochs = 0.2, batch_size = 128 }}
"""


@pytest.mark.slow
@pytest.mark.long
def test_machines_that_share_nothing_train_each_variant_once(tmp_path: Path) -> None:
    text = TRAINED + STUDY.format(name="one") + STUDY.format(name="two")
    runs = []
    for number in (1, 2):
        machine = BenchRunner(tmp_path / f"machine{number}")
        machine.directory.mkdir()
        config = machine.write_config(text)
        runs.append(machine.run(config, "-n", "0", f"--bench-shard={number}/2"))
    trained = [name for run in runs for kind, name in run.work() if kind == "train"]
    assert sorted(trained) == ["one-base", "one-pruned", "two-base", "two-pruned"]
    assert [len(run.directory.orders().found) for run in runs] == [2, 2]
    done, joined = merge(runs, tmp_path / "merged")
    assert "8 planned cells, 0 of them INCOMPLETE" in done.output
    assert len(joined.records().found) == 8
    assert len(joined.orders().found) == 4


@pytest.mark.slow
def test_the_shipped_grid_in_five_shards_is_the_grid(tmp_path: Path) -> None:
    """Two workloads share no training, so two of the five have work, and three are empty."""
    runner = BenchRunner(tmp_path)
    runner.cache = default_root(os.environ)
    whole = runner.run(DEFAULT_CONFIG, "-n", "2")
    parts = [
        runner.run(DEFAULT_CONFIG, "-n", "2", f"--bench-shard={number}/5") for number in range(1, 6)
    ]
    assert [len(run.records()) for run in parts] == [32, 32, 0, 0, 0]
    check_is_the_same(whole, parts, tmp_path / "compared")
    started = [name for run in parts for kind, name in run.work() if kind == "train"]
    assert len(started) == len(set(started)), "a variant was trained twice"
