"""Where the cycles of a cell go: commands, trace, and that every figure says what it is."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.cli import main as cli
from tests.support.bench_runs import BenchRun, BenchRunner
from tests.support.models.tflite_factory import mlp

#: A network bound by flash, judged against limits it breaks, so that every message is seen.
CONFIG = """
[grid]
macs = [32, 256]
memory_modes = ["Shared_Sram"]
targets = ["sim", "vela"]
timing_profiles = ["default", "slow"]

[timing.slow.sram]
[timing.slow.ext]
maxr = 1
rlatency = 200

[workloads.fc]
model = "fc.tflite"
expect_bound = { Shared_Sram = "compute" }

[[workloads.fc.limits]]
metric = "npu_cycles"
max = 100
"""
CELL = "fc-base-u55_256-shared_sram-sim"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    runner = BenchRunner(tmp_path_factory.mktemp("cycles"))
    generator = np.random.default_rng(3)
    shapes = ((128, 512), (10, 128))
    layers = [np.clip(np.round(generator.normal(0, 30, s)), -127, 127) for s in shapes]
    model = mlp([w.astype(np.int8) for w in layers], softmax=True)
    (runner.directory / "fc.tflite").write_bytes(model)
    made = runner.run(runner.write_config(CONFIG))
    assert made.returncode == 1, made.output[-3000:]
    return made


@dataclass(frozen=True)
class Answer:
    returncode: int
    stdout: str
    stderr: str


def bench(run: BenchRun, *arguments: str, cache: Path | None = None) -> Answer:
    """The `bench` command, in this process: starting one for each would take most of the time."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["bench", *arguments]),
        mock.patch.dict(os.environ, BENCH_CACHE=str(cache or run.cache)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            cli.app()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def latest(run: BenchRun) -> tuple[str, str]:
    return "--run", str(run.directory.path)


def test_layers_shows_every_operation_beside_velas_estimate(run: BenchRun) -> None:
    result = bench(run, "layers", CELL, *latest(run))
    assert result.returncode == 0, result.stderr
    record = run.records()[CELL]
    total = record.measurement.counters["NPU_ACTIVE"]
    vela = record.compilation.report.cycles_total
    assert f"{total:,} NPU cycles (estimate; Vela's: {vela:,})" in result.stdout
    assert "All cycles are estimates" in result.stdout
    for row in record.measurement.layers:
        assert row.name in result.stdout
    assert "dense_0" in result.stdout
    first = record.measurement.layers[0]
    assert f"{first.total:,}" in result.stdout
    assert first.vela_cycles is not None
    assert f"{first.vela_cycles:,}" in result.stdout
    assert "is flash-bound at 256 MACs" in " ".join(result.stdout.split())


def test_layers_traces_records_and_disassembly_name_the_same_layers(
    run: BenchRun, tmp_path: Path
) -> None:
    rows = run.records()[CELL].measurement.layers
    assert all(row.layer and row.operator and row.tensor for row in rows)
    path = tmp_path / "trace.json"
    assert bench(run, "trace", CELL, "-o", str(path), *latest(run)).returncode == 0
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    traced = {e["args"]["layer"] for e in events if e["ph"] == "X" and "layer" in e["args"]}
    assert traced - {""} == {row.layer for row in rows}
    shown = bench(run, "layers", CELL, *latest(run)).stdout
    assert all(row.layer in shown for row in rows)
    # The database lies beside the compiled model in the cache.
    found = run.cache.glob("v*/entries/compiled/*/*/files/*_vela.tflite")
    texts = [bench(run, "disasm", str(compiled)).stdout for compiled in found]
    for operator in {row.operator for row in rows}:
        assert all(re.search(rf"^  layer \d+: {operator}  ", text, re.M) for text in texts)


def test_a_target_that_cannot_tell_says_so(run: BenchRun) -> None:
    result = bench(run, "layers", CELL.removesuffix("sim") + "vela", *latest(run))
    assert result.returncode == 2
    assert "does not tell where its cycles go" in result.stderr


@pytest.mark.parametrize("command", ["layers", "trace"])
def test_a_misspelt_cell_is_told_the_nearest(run: BenchRun, command: str, tmp_path: Path) -> None:
    wrong = CELL.replace("shared", "sharde")
    arguments = ("-o", str(tmp_path / "x.json")) if command == "trace" else ()
    result = bench(run, command, wrong, *latest(run), *arguments)
    assert result.returncode == 2
    assert f"did you mean '{CELL}'?" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_cell_that_was_planned_and_not_measured_is_told_how_to_make_it(run: BenchRun) -> None:
    record = run.directory.path / "cells" / f"{CELL}.json"
    kept = record.read_bytes()
    record.unlink()
    try:
        result = bench(run, "layers", CELL, *latest(run))
    finally:
        record.write_bytes(kept)
    assert result.returncode == 2
    assert "planned in" in result.stderr
    assert f"test_npu_cycles[{CELL}]" in result.stderr


def test_a_model_that_is_not_in_the_cache_is_told_how_to_make_it(
    run: BenchRun, tmp_path: Path
) -> None:
    target = tmp_path / "trace.json"
    empty = tmp_path / "empty"
    result = bench(run, "trace", CELL, "-o", str(target), *latest(run), cache=empty)
    assert result.returncode == 2
    assert "the compiled model is not in the cache" in result.stderr
    assert f"test_npu_cycles[{CELL}]" in result.stderr
    assert not target.exists()


def test_no_run_at_all_is_an_error_with_a_name(run: BenchRun, tmp_path: Path) -> None:
    result = bench(run, "trace", CELL, "--run", str(tmp_path))
    assert result.returncode == 2
    assert "run.json: cannot be read" in result.stderr


def test_a_trace_that_cannot_be_written_leaves_the_old_one(run: BenchRun, tmp_path: Path) -> None:
    result = bench(run, "trace", CELL, "-o", str(tmp_path / "no" / "t.json"), *latest(run))
    assert result.returncode == 2
    assert "the trace cannot be written" in result.stderr


@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "link to a device"])
def test_a_trace_replaces_nothing_but_a_file(run: BenchRun, tmp_path: Path, kind: str) -> None:
    """The rename that makes writing atomic would put a file in the place of /dev/null."""
    path = tmp_path / "out"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "link to a device":
        path.symlink_to("/dev/null")
    else:
        path = character_device(path)
    before = _kind_of(path)
    result = bench(run, "trace", CELL, "-o", str(path), *latest(run))
    assert result.returncode == 2
    assert f"{path}: the trace cannot be written: not a regular file" in result.stderr
    assert _kind_of(path) == before


def character_device(path: Path) -> Path:
    """A device to spare, which only root can make: `/dev/null` is not risked."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes device nodes: writing to one was NOT tried")
    return path


def traced(run: BenchRun, cell: str, path: Path) -> dict[str, Any]:
    result = bench(run, "trace", cell, "-o", str(path), *latest(run))
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert "estimate" in result.stdout
    return document


def test_a_trace_has_engines_and_ports_as_tracks_within_the_inference(
    run: BenchRun, tmp_path: Path
) -> None:
    document = traced(run, CELL, tmp_path / "trace.json")
    record = run.records()[CELL]
    active = record.measurement.counters["NPU_ACTIVE"]
    other = document["otherData"]
    assert other["npu_active_cycles_estimate"] == active
    assert other["vela_cycles_estimate"] == record.compilation.report.cycles_total
    tracks = {
        (e["pid"], e["tid"]): e["args"]["name"]
        for e in document["traceEvents"]
        if e["ph"] == "M" and e["name"] == "thread_name"
    }
    assert {"MAC", "weight stream", "output stage", "IFM read", "OFM write"} <= set(tracks.values())
    assert {"commands", "DMA", "AXI0", "AXI1"} <= set(tracks.values())
    spans = [e for e in document["traceEvents"] if e["ph"] == "X"]
    used = {tracks[span["pid"], span["tid"]] for span in spans}
    assert used == set(tracks.values()), "the softmax of this network uses DMA as well"
    for span in spans:
        assert 0 <= span["ts"] <= span["ts"] + span["dur"] <= active + 1
    # Operations begin in each engine in the order of the stream.
    for track in tracks:
        numbers = [
            int(span["name"].split()[0])
            for span in sorted(spans, key=lambda span: (span["ts"], span["dur"]))
            if (span["pid"], span["tid"]) == track and span["name"][0].isdigit()
        ]
        assert numbers == sorted(numbers), tracks[track]
    last = max(span["ts"] + span["dur"] for span in spans)
    assert last == pytest.approx(active, abs=1)


def test_the_trace_is_of_the_cells_own_timing_profile(run: BenchRun, tmp_path: Path) -> None:
    slow = f"{CELL}-ta_slow"
    document = traced(run, slow, tmp_path / "slow.json")
    cycles = document["otherData"]["npu_active_cycles_estimate"]
    assert cycles == run.records()[slow].measurement.counters["NPU_ACTIVE"]
    # Whatever the configuration says today.
    config = Path(run.directory.manifest().config_path)
    config.write_text(CONFIG.replace("rlatency = 200", "rlatency = 900"), encoding="utf-8")
    assert traced(run, slow, tmp_path / "slow.json") == document
    config.write_text(CONFIG, encoding="utf-8")
    # One read of 208 cycles at a time instead of seven in 400.
    assert cycles > 3 * run.records()[CELL].measurement.counters["NPU_ACTIVE"]


def test_what_limits_the_network_stands_beneath_its_table(run: BenchRun) -> None:
    line = re.compile(r"base, Shared_Sram: estimate: dense_0 is flash-bound at 256 MACs: \d+% of")
    again = bench(run, "report", str(run.directory.path))
    for text in (run.output, again.stdout):
        assert line.search(" ".join(text.split()))


def test_a_failing_sweep_says_what_limits_the_network(run: BenchRun) -> None:
    failures = [line for line in run.output.splitlines() if "mac_sweep memory-bound" in line]
    assert failures
    mine = next(line for line in failures if line.startswith("fc-base-shared_sram-sim:"))
    assert "dense_0 is flash-bound at 256 MACs" in mine
    assert "it becomes compute-bound below" in mine


#: Words that stand for cycles, and what may not be without its kind.
_CYCLES = re.compile(r"\d[\d,]* (?:NPU )?cycles")


def test_every_cycle_figure_says_estimate_and_has_velas_beside_it(run: BenchRun) -> None:
    velas = {r.compilation.report.cycles_total for r in run.records().values()}
    figures = {r.measurement.counters["NPU_ACTIVE"] for r in run.records().values()} | velas
    files = [run.directory.path / "pytest.xml", run.directory.path / "junit.xml"]
    texts = [run.output, *(_text_of(path) for path in files)]
    texts += [verdict.line for record in run.records().values() for verdict in record.verdicts]
    texts += [sweep.reason for sweep in run.directory.sweeps().found]
    texts += [record.measurement.explanation for record in run.records().values()]
    seen = 0
    for text in texts:
        for line in text.splitlines():
            if _CYCLES.search(line) and any(f"{figure:,}" in line for figure in figures):
                seen += 1
                assert "estimate" in line, line
                assert "Vela's" in line, line
    assert seen > 20


def _text_of(path: Path) -> str:
    """Texts and messages of a JUnit file, a line each."""
    elements = ElementTree.parse(path).iter()
    return "\n".join(part for e in elements for part in (e.text, e.attrib.get("message")) if part)


def test_properties_of_estimates_are_named_so(run: BenchRun) -> None:
    tree = ElementTree.parse(run.directory.path / "pytest.xml")
    cases = [c for c in tree.iter("testcase") if c.find("properties") is not None]
    with_cycles = 0
    for case in cases:
        properties = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
        assert "NPU_ACTIVE" not in properties, "nothing here was measured"
        if "NPU_ACTIVE_estimate" in properties:
            with_cycles += 1
            assert "vela_cycles_estimate" in properties
    assert with_cycles


def test_records_say_how_each_counter_was_come_by(run: BenchRun) -> None:
    records = run.records().values()
    assert {record.cell.target for record in records} == {"sim", "vela"}
    for record in records:
        measurement = record.measurement
        assert set(measurement.kinds) == set(measurement.counters)
        sim = record.cell.target == "sim"
        assert measurement.kinds["NPU_ACTIVE"] == ("modelled" if sim else "estimate")
        assert "estimate" in measurement.provenance["cycles"]
        exact = measurement.kinds["AXI1_RD_DATA_BEAT_RECEIVED"] == "exact"
        assert exact is sim


def test_the_tables_of_estimates_say_so_in_their_titles(run: BenchRun) -> None:
    assert "fc on target sim: cycles are an estimate, not a measurement" in run.output
    assert "fc on target vela: cycles and beats are Vela's estimate" in run.output
    rows = [line for line in run.output.splitlines() if "│   Vela" in line]
    assert rows
    assert all("estimate" in row for row in rows)


def _kind_of(path: Path) -> tuple[int, int, int]:
    """What lies there: reading a link changes when it was read, and nothing else."""
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_mtime_ns
