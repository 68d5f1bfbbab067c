"""A second version of Vela, really installed, beside the one of the bench.

The installation that all tests here use has a past: the first process to make it was killed, and
then two wanted it at the same moment.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.cache import ArtefactCache
from bench.cache.verification import Problem
from bench.compiler import (
    LockFile,
    VelaInstallation,
    VelaOptions,
    VelaServer,
    compile_model,
    find_lock,
    install_vela,
    shipped_locks,
    vela_version,
)
from bench.core.errors import CompilerError, PrerequisiteError
from bench.core.processes import Bounds
from bench.measuring.compilation import VelaInstallations
from bench.measuring.progress import ignore
from targets.artefact.debug_database import read_database
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.bench_runs import ROOT, BenchRun, BenchRunner
from tests.support.benchmark_runs import run_benchmark
from tests.support.models.tflite_factory import mlp
from tests.support.models.vela_files import require_vela, zoo

pytestmark = pytest.mark.slow

OLD = "5.0.0"
OPTIONS = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM)

#: What is installed besides: one of Vela's older core, or every version that has a lock file.
VERSIONS = [v for v in shipped_locks() if v not in (OLD, vela_version())]
if not os.environ.get("BENCH_TEST_VELAS"):
    VERSIONS = ["4.5.0"]

#: Waits for the file `argv[2]`, then obtains the installation from the cache `argv[1]`.
MAKER = """
import sys, time
from pathlib import Path
from bench.cache import ArtefactCache
from bench.measuring.compilation import VelaInstallations
made = []
installations = VelaInstallations(ArtefactCache(Path(sys.argv[1])), {}, lambda e: made.append(e))
while not Path(sys.argv[2]).exists():
    time.sleep(0.01)
installation = installations.obtain("5.0.0")
print([e.state for e in made if e.kind == "install"], installation.directory)
"""

GRID = """
[grid]
macs = [32, 128]
memory_modes = ["Shared_Sram"]
targets = ["sim"]
vela = ["installed", "5.0.0"]

[workloads.net]
model = "net.tflite"
random_inputs = 3
limits = [{ metric = "npu_cycles", max = 1_000_000 }]
"""


@dataclass(frozen=True)
class Past:
    """How the installation came to be."""

    cache: Path
    #: What the cache held after the first maker had been killed.
    found_after_kill: VelaInstallation | None
    problems_after_kill: list[Problem]
    #: What two makers said that were let go at once.
    said: list[str]


def _maker(cache: Path, gate: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAKER, str(cache), str(gate)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    directory = tmp_path_factory.mktemp("velas")
    require_vela(OLD, directory)
    cache, gate = directory / "cache", directory / "gate"
    gate.touch()
    first = _maker(cache, gate)
    end = time.monotonic() + 120
    # pip moves what it has installed when all of it is there.
    while not list(cache.glob("v*/tmp/*/files/*")) and first.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.001)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    store = ArtefactCache(cache)
    found = VelaInstallations(store, {}, ignore).find(OLD)
    problems = store.verify()
    gate.unlink()
    makers = [_maker(cache, gate) for _ in range(2)]
    gate.touch()
    said = [maker.communicate(timeout=300)[0].strip() for maker in makers]
    return Past(cache, found, problems, said)


@pytest.fixture(scope="module")
def old(past: Past) -> VelaInstallation:
    installation = VelaInstallations(ArtefactCache(past.cache), {}, ignore).find(OLD)
    assert installation is not None
    return installation


@pytest.fixture(scope="module")
def network() -> bytes:
    generator = np.random.default_rng(2)
    shapes = ((48, 96), (32, 48), (10, 32))
    layers = [generator.integers(-127, 128, shape, dtype=np.int8) for shape in shapes]
    return mlp(layers, softmax=True)


@pytest.fixture(scope="module")
def run(past: Past, network: bytes, tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    """A bench of both versions, whose cache already has the old one."""
    directory = tmp_path_factory.mktemp("bench")
    (directory / "net.tflite").write_bytes(network)
    runner = BenchRunner(directory)
    runner.cache = past.cache
    return runner.run(runner.write_config(GRID), "-n", "2")


def test_a_maker_that_is_killed_leaves_nothing_that_is_used(past: Past) -> None:
    assert past.found_after_kill is None
    assert past.problems_after_kill, "it was killed before it had begun, which proves nothing"
    assert all(problem.harmless for problem in past.problems_after_kill)


def test_two_that_want_it_at_once_make_one(past: Past) -> None:
    states = sorted(said.partition("]")[0] for said in past.said)
    assert states == ["[", "['started', 'done'"], past.said
    assert len({said.rpartition(" ")[2] for said in past.said}) == 1
    store = ArtefactCache(past.cache)
    assert [problem for problem in store.verify() if not problem.harmless] == []
    assert store.stats().kinds["vela_installation"].entries == 1


def test_it_sees_no_package_of_the_bench(old: VelaInstallation, tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u, ethosu.vela, numpy, flatbuffers\n"
        "print(numpy.__file__, flatbuffers.__file__, *ethosu.vela.__path__, *ethosu.__path__)\n"
        "print([n for n in ('pydantic', 'tensorflow', 'bench', 'pip') if u.find_spec(n)])\n"
    )
    said = subprocess.run(
        old.program("-c", code),
        cwd=tmp_path,
        env={**os.environ, **old.environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert old.directory is not None
    assert all(place.startswith(str(old.directory)) for place in said[0].split())
    assert said[1] == "[]"


def test_both_versions_are_measured_side_by_side(run: BenchRun) -> None:
    assert run.returncode == 0, run.output[-3000:]
    records = run.records()
    here = vela_version()
    assert {cell_id: record.compilation.vela_version for cell_id, record in records.items()} == {
        "net-base-u55_32-shared_sram-sim": here,
        "net-base-u55_128-shared_sram-sim": here,
        "net-base-u55_32-shared_sram-sim-vela_5_0_0": OLD,
        "net-base-u55_128-shared_sram-sim-vela_5_0_0": OLD,
    }
    assert sorted({sweep.id for sweep in run.directory.sweeps().found}) == [
        "net-base-shared_sram-sim",
        "net-base-shared_sram-sim-vela_5_0_0",
    ]
    for record in records.values():
        assert record.reference is not None
        assert record.reference.mismatches == 0
    lines = run.output.splitlines()
    assert [line.split("│")[3].strip() for line in lines if line.startswith("│ base")] == [
        here,
        OLD,
    ]


def test_the_record_has_the_versions_own_configuration_file(
    run: BenchRun, old: VelaInstallation
) -> None:
    records = run.records()
    older = records["net-base-u55_128-shared_sram-sim-vela_5_0_0"].compilation
    assert older.config_sha256 == older.options.config_sha256(old)
    newer = records["net-base-u55_128-shared_sram-sim"].compilation
    # Versions estimate other cycles from the same model.
    assert older.report.cycles_total != newer.report.cycles_total


def test_the_stream_and_the_debug_database_of_the_old_version_are_read(run: BenchRun) -> None:
    for record in run.records().values():
        layers = record.measurement.layers
        assert (
            sum(layer.total for layer in layers) > 0.9 * record.measurement.counters["NPU_ACTIVE"]
        )
        assert {layer.operator for layer in layers} == {"FullyConnected", "Softmax"}


def test_a_second_run_does_no_work(run: BenchRun, network: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(network)
    runner = BenchRunner(tmp_path)
    runner.cache = run.cache
    again = runner.run(runner.write_config(GRID), "-n", "0")
    assert again.returncode == 0, again.output[-3000:]
    assert again.work() == []
    # One version on the command line: the same cells, no other.
    only = runner.run(runner.write_config(GRID), "-n", "0", f"--bench-vela={OLD}")
    assert set(only.records()) == {one for one in run.records() if one.endswith("vela_5_0_0")}
    assert f"--bench-vela={OLD}" in next(iter(only.records().values())).verdicts[0].reproduce


def test_the_server_writes_what_the_command_writes(
    old: VelaInstallation, network: bytes, tmp_path: Path
) -> None:
    model = tmp_path / "net.tflite"
    model.write_bytes(network)
    alone = compile_model(model, OPTIONS, tmp_path / "alone", vela=old)
    with VelaServer(old) as server:
        served = compile_model(model, OPTIONS, tmp_path / "served", vela=old, runner=server)
        assert served == alone
        assert served.vela_version == OLD
        databases = [read_database(tmp_path / d / "net_debug.xml") for d in ("alone", "served")]
        assert databases[0] == databases[1]


@pytest.fixture
def server(old: VelaInstallation) -> Iterator[VelaServer]:
    with VelaServer(old) as server:
        yield server


def test_its_failures_are_told_and_bounded_as_those_of_the_installed(
    server: VelaServer, old: VelaInstallation, network: bytes, tmp_path: Path
) -> None:
    damaged, large, sound = (tmp_path / name for name in ("damaged", "large", "sound"))
    damaged.write_bytes(b"\x1c\x00\x00\x00TFL3 not a model")
    large.write_bytes(mlp([np.ones((8192, 8192), dtype=np.int8)]))
    sound.write_bytes(network)
    assert old.directory is not None
    for runner in (server, None):
        with pytest.raises(CompilerError) as caught:
            compile_model(damaged, OPTIONS, tmp_path / "out", vela=old, runner=runner)
        assert caught.value.what.startswith(f"Vela {OLD} ")
        # The command of the message reproduces it.
        command = caught.value.what.partition("command: ")[2].partition("\n")[0]
        by_hand = subprocess.run(
            command, shell=True, cwd=tmp_path, capture_output=True, check=False
        )
        assert by_hand.returncode != 0
        assert str(old.directory) in command
        with pytest.raises(CompilerError, match="did not finish within"):
            compile_model(
                sound, OPTIONS, tmp_path / "out", bounds=Bounds(0.001), vela=old, runner=runner
            )
    with pytest.raises(CompilerError, match="more than the 100 MiB of memory it may have"):
        compile_model(large, OPTIONS, tmp_path / "out", bounds=Bounds(300, 100 << 20), vela=old)


def test_the_estimate_of_a_version_is_said_to_be_its(run: BenchRun, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(
        (run.directory.path.parents[1] / "net.tflite").read_bytes()
    )
    runner = BenchRunner(tmp_path)
    runner.cache = run.cache
    estimated = runner.run(runner.write_config(GRID), "-n", "0", "--bench-target=vela")
    assert estimated.returncode == 0, estimated.output[-3000:]
    for record in estimated.records().values():
        version = record.compilation.vela_version
        told = record.measurement.provenance["cycles"]
        assert told == f"ethos-u-vela {version}, performance estimate"
        estimate = record.compilation.report.cycles_total
        assert record.measurement.counters["NPU_ACTIVE"] == estimate
    assert {r.compilation.vela_version for r in estimated.records().values()} == {
        OLD,
        vela_version(),
    }


def test_the_doctor_finds_it_ready(past: Past, tmp_path: Path) -> None:
    config = tmp_path / "bench.toml"
    config.write_text(GRID, encoding="utf-8")
    said = subprocess.run(
        [sys.executable, "-m", "bench.cli", "doctor", f"--config={config}"],
        cwd=ROOT,
        env={**os.environ, "BENCH_CACHE": str(past.cache)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"ok      vela {OLD}: installed in the cache" in said


def test_another_file_than_the_locked_one_is_never_installed(past: Past, tmp_path: Path) -> None:
    lock = find_lock(OLD, {})
    content = re.sub(rb"(?<=sha256:)[0-9a-f]{8}", b"00000000", lock.content)
    with pytest.raises(PrerequisiteError, match=r"Vela 5\.0\.0 cannot be installed") as caught:
        install_vela(LockFile(OLD, lock.path, content), tmp_path / "target")
    assert "hash" in caught.value.what.lower()
    assert not list(tmp_path.glob("target/ethosu*"))


def test_what_compiles_with_the_old_version_is_still_known_to_be_its(run: BenchRun) -> None:
    """`bench trace` and its like find the compiled model of a record under its own version."""
    cell = "net-base-u55_128-shared_sram-sim-vela_5_0_0"
    trace = subprocess.run(
        [
            *(sys.executable, "-m", "bench.cli", "trace", cell),
            *("--run", str(run.directory.path), "--cache", str(run.cache)),
            *("--output", str(run.directory.path / "trace.json")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert trace.returncode == 0, trace.stderr
    assert json.loads((run.directory.path / "trace.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_shipped_lock_installs_is_measured(
    version: str, past: Past, network: bytes, tmp_path: Path
) -> None:
    (tmp_path / "net.tflite").write_bytes(network)
    runner = BenchRunner(tmp_path)
    runner.cache = past.cache
    ran = runner.run(runner.write_config(GRID), "-n", "0", f"--bench-vela={version}")
    assert ran.returncode == 0, ran.output[-3000:]
    assert f"bench: install Vela {version}\n" in ran.output
    for record in ran.records().values():
        assert record.compilation.vela_version == version
        assert record.compilation.cpu_operators == ()
        assert record.reference is not None
        assert record.reference.mismatches == 0
        layers = {layer.layer for layer in record.measurement.layers}
        assert len(layers) == 4, layers


def test_the_shipped_page_is_of_today(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of its cells, measured again; after a change of figures, `make velas` renews it."""
    monkeypatch.setenv("BENCH_CACHE", str(past.cache))
    (tmp_path / "zoo").mkdir()
    model = tmp_path / "zoo" / "kws_ref_model.tflite"
    model.write_bytes((zoo() / model.name).read_bytes())
    page = tmp_path / "page.md"
    ran = run_benchmark(
        tmp_path,
        "vela_versions",
        model.parent,
        *("--no-study", "--macs", "64", "256", "--modes", "Shared_Sram"),
        *("--processes", "0", "--page", page, "--work", tmp_path / "work"),
    )
    assert ran.returncode == 0, ran.output[-3000:]
    rows = [row for row in page.read_text(encoding="utf-8").splitlines() if row[:3] == "| `"]
    assert len(rows) == 4
    shipped = (ROOT / "docs" / "vela-versions.md").read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in shipped] == [], "run make velas"


def test_the_page_of_two_versions(
    past: Past, network: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make velas` on one small model."""
    monkeypatch.setenv("BENCH_CACHE", str(past.cache))
    models = tmp_path / "zoo"
    models.mkdir()
    (models / "Small-Net.tflite").write_bytes(network)
    page = tmp_path / "page.md"
    ran = run_benchmark(
        tmp_path,
        "vela_versions",
        models,
        *("--no-study", "--macs", "64", "--modes", "Shared_Sram", "Sram_Only"),
        *("--processes", "0", "--page", page, "--work", tmp_path / "work"),
    )
    assert ran.returncode == 0, ran.output[-3000:]
    cells = {one["cell"]: one for one in ran.results}
    assert set(cells) == {
        f"small_net-base-u55_64-{mode}-sim" for mode in ("shared_sram", "sram_only")
    }
    text = page.read_text(encoding="utf-8")
    for name, one in cells.items():
        assert one["versions"] == [OLD, vela_version()]
        old_cycles, new_cycles = one["figures"]["npu_cycles"]
        grown = sum(layer["new"] - layer["old"] for layer in one["layers"])
        # Idle time between the operations belongs to no layer.
        assert abs(new_cycles - old_cycles - grown) < 50
        # Its softmax has one operation more in 5.2.0.
        assert "npu_cycles" in one["worse"]
        softmax = next(layer for layer in one["layers"] if layer["operator"] == "Softmax")
        assert softmax["operations_new"] == softmax["operations_old"] + 1
        assert re.search(rf"\| `{name}` \| \+[\d,]+ .*{softmax['name']} \+", text)
        assert f"{old_cycles:,.0f} → {new_cycles:,.0f}" in text
