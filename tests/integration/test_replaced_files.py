"""Files that are replaced while a bench runs, and put back: nothing false is measured or kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bench.cache import ArtefactCache
from bench.cli.cell.finished_cell import compiled_model
from bench.core.errors import ModelError
from bench.core.files import write_atomically
from bench.core.own_names import PACKAGES
from bench.measuring.inputs import keep_inputs, sha256_of
from bench.plan.config import load_config
from bench.records.record import Record
from bench.records.run_directory import RunDirectory
from tests.support.bench_runs import ROOT, BenchRunner
from tests.support.models.tflite_factory import mlp

pytestmark = pytest.mark.slow

GRID = """
[grid]
macs = [32, 256]
memory_modes = ["Shared_Sram"]
system_configs = ["Ethos_U55_High_End_Embedded"]
targets = ["sim"]

[vela]
config_file = "mine.ini"

[workloads.mine]
model = "mine.tflite"
dataset = "mine.npz"
"""

#: Which file was another -> cell -> its figures.
Figures = dict[str, dict[str, dict[str, object]]]

#: The moment -> what the progress file of the run holds from then on.
CHECKED = ""
COMPILING, MEASURING = ('"kind": "compile"', '"kind": "measure"')


def model(neurons: int) -> bytes:
    generator = np.random.default_rng(neurons)
    shapes = [(neurons, 64), (10, neurons)]
    weights = [generator.integers(-127, 128, shape, dtype=np.int8) for shape in shapes]
    return mlp(weights, softmax=False)


def write_dataset(path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    inputs = generator.integers(-128, 128, (20, 64), dtype=np.int8)
    np.savez(path, inputs=inputs, labels=generator.integers(0, 10, 20))


def write_ini(path: Path, old: str = "", new: str = "") -> None:
    spec = find_spec("ethosu")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    text = (
        Path(spec.submodule_search_locations[0]) / "config_files" / "Arm" / "vela.ini"
    ).read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


#: The file -> writes another in its place.
OTHER: dict[str, Callable[[Path], None]] = {
    "mine.tflite": lambda path: write_atomically(path, model(200)),
    "mine.npz": lambda path: write_dataset(path, seed=2),
    "mine.ini": lambda path: write_ini(
        path, "OffChipFlash_clock_scale=0.125", "OffChipFlash_clock_scale=0.03125"
    ),
}


def write_inputs(directory: Path) -> None:
    (directory / "mine.tflite").write_bytes(model(100))
    write_dataset(directory / "mine.npz", seed=1)
    write_ini(directory / "mine.ini")


def at(process: subprocess.Popen[str], runner: BenchRunner, moment: str) -> None:
    """Wait until the run has come to `moment`."""
    progress = runner.results / "latest" / "progress.jsonl"
    end = time.monotonic() + 120
    while not (runner.results / "latest").exists() or (
        moment and not (progress.exists() and moment in progress.read_text(encoding="utf-8"))
    ):
        assert process.poll() is None, process.communicate()[0][-4000:]
        assert time.monotonic() < end
        time.sleep(0.002)


def figures(record: Record) -> dict[str, object]:
    return {
        "model": record.model.sha256,
        "data": record.data.sha256,
        "compiled": record.compilation.sha256,
        "config": record.compilation.config_sha256,
        "vela_cycles": record.compilation.report.cycles_total,
        "counters": record.measurement.counters,
        "outputs": record.measurement.outputs_sha256,
        "accuracy": record.accuracy.value if record.accuracy else None,
    }


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    """The figures of the files as they are, and of each of the others."""
    found = {}
    for name in ("", *OTHER):
        directory = tmp_path_factory.mktemp("clean")
        write_inputs(directory)
        if name:
            OTHER[name](directory / name)
        runner = BenchRunner(directory)
        run = runner.run(runner.write_config(GRID), "-n", "0", "-k", "test_reference")
        assert run.returncode == 0, run.output[-4000:]
        found[name] = {id_: figures(record) for id_, record in run.records().items()}
        assert len(found[name]) == 2
    return found


@pytest.mark.parametrize(
    ("name", "back"),
    [("mine.tflite", MEASURING), ("mine.npz", CHECKED), ("mine.ini", MEASURING)],
)
def test_the_run_is_of_the_files_it_began_with(
    name: str, back: str, clean: Figures, tmp_path: Path
) -> None:
    assert clean[name] != clean[""], "the other file makes a difference"
    write_inputs(tmp_path)
    path = tmp_path / name
    original, stat = path.read_bytes(), path.stat()
    runner = BenchRunner(tmp_path)
    config = runner.write_config(GRID)
    process = runner.start(config, "-n", "0", "-k", "test_reference")
    # A data set is read before anything is compiled.
    at(process, runner, CHECKED if name == "mine.npz" else COMPILING)
    OTHER[name](path)
    if back:
        at(process, runner, back)
        path.write_bytes(original)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-4000:]
    directory = RunDirectory((runner.results / "latest").resolve())
    assert {r.cell.id: figures(r) for r in directory.records().found} == clean[""]
    for record in directory.records().found:
        assert compiled_model(record, ArtefactCache(runner.cache)).is_file()
    # And nothing was kept under a name that is not its own.
    again = runner.run(config, "-n", "0", "-k", "test_reference")
    assert {id_: figures(r) for id_, r in again.records().items()} == clean["" if back else name]
    assert ArtefactCache(runner.cache).verify() == []


def test_a_file_that_is_replaced_before_it_is_kept_is_an_error(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    (tmp_path / "bench.toml").write_text(GRID, encoding="utf-8")
    config = load_config(tmp_path / "bench.toml")
    digests = {tmp_path / name: sha256_of(tmp_path / name) for name in OTHER}
    cache = ArtefactCache(tmp_path / "cache")
    kept = keep_inputs(config, digests, cache)
    assert kept.vela.config_file is not None
    assert kept.vela.config_file.read_bytes() == (tmp_path / "mine.ini").read_bytes()
    for name in OTHER:
        write_inputs(tmp_path)
        OTHER[name](tmp_path / name)
        # What is kept already needs the file no more.
        assert keep_inputs(config, digests, cache) == kept
        with pytest.raises(ModelError, match=f"{name}: was changed while the bench was starting"):
            keep_inputs(config, digests, ArtefactCache(tmp_path / f"cache of {name}"))


class CopiedBench(BenchRunner):
    """A bench of a copy of the project, whose sources a test may edit."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.root = directory / "project"
        for part in (*PACKAGES, "tests/regression"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, self.root / part, ignore=ignored)
        for part in ("conftest.py", "pyproject.toml"):
            shutil.copy(ROOT / part, self.root / part)
        # Compiled once, lest the first run compile while the second reads.
        time.sleep(0.1)

    def start(
        self, config: Path, *arguments: str, results: Path | None = None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(config, *arguments, results=results),
            cwd=self.root,
            env=self.environment() | {"PYTHONPATH": str(self.root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@pytest.mark.parametrize(
    ("source", "wrong", "back"),
    [
        # Half the beats; loaded by the process that measures, long before.
        ("targets/ethos_u55/ports.py", ("BEAT_BYTES = 8", "BEAT_BYTES = 16"), True),
        # Loaded by a child process, after the edit.
        ("bench/tflite/interpreter_worker.py", ("def main", "def  main"), False),
    ],
    ids=["is put back", "stays"],
)
def test_a_source_edited_in_a_run_poisons_nothing(
    source: str, wrong: tuple[str, str], back: bool, tmp_path: Path
) -> None:
    runner = CopiedBench(tmp_path)
    write_inputs(tmp_path)
    config = runner.write_config(GRID)
    path = runner.root / source
    original, stat = path.read_text(encoding="utf-8"), path.stat()
    assert wrong[0] in original
    process = runner.start(config, "-n", "0", "-k", "test_reference")
    at(process, runner, COMPILING)
    path.write_text(original.replace(*wrong), encoding="utf-8")
    if back:
        path.write_text(original, encoding="utf-8")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output[-4000:]
    assert f"{path} was changed while the bench was running" in output
    assert "leave the bench's own files alone while it runs" in output
    assert "measurement" not in ArtefactCache(runner.cache).stats().kinds
    path.write_text(original, encoding="utf-8")
    time.sleep(0.1)
    run = runner.run(config, "-n", "0", "-k", "test_reference")
    assert run.returncode == 0, run.output[-4000:]


def test_a_source_edited_while_workers_start_ends_the_run(tmp_path: Path) -> None:
    runner = CopiedBench(tmp_path)
    write_inputs(tmp_path)
    process = runner.start(runner.write_config(GRID), "-n", "1", "-k", "test_reference")
    # The controller has read the sources, the worker has not loaded them.
    at(process, runner, CHECKED)
    path = runner.root / "bench" / "report" / "junit.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output[-4000:]
    assert f"{path} was changed while the bench was running" in output
    assert "INTERNALERROR" not in output
