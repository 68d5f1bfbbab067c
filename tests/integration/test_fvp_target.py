"""Target `fvp` on the virtual platform: what it says of itself, and every fault injected."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.core.errors import BenchError, PrerequisiteError, TargetError
from bench.tflite.reference import ReferenceRunner
from targets.ethos_u55.accelerators import Accelerator
from targets.firmware import firmware_sha256
from targets.fvp.errors import InfrastructureError
from targets.fvp.target import FvpTarget
from targets.protocol import Job, Source
from targets.settings.fvp import FvpSettings
from targets.sim import SimulatorTarget
from tests.support.bench_runs import BenchRunner
from tests.support.fvp.stand_ins import as_fvp, write_fvp
from tests.support.models.compiled_jobs import small_job
from tests.support.models.vela_files import small_mlp

Make = Callable[..., FvpTarget]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return small_job(tmp_path_factory.mktemp("job"))


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a target whose FVP is the virtual platform with the given parameters."""
    # Working directories here, so that a process left behind can be found by where it works.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "work"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "work").mkdir()

    def target(*parameters: str, **settings: object) -> FvpTarget:
        executable = str(write_fvp(tmp_path / "fvp", *parameters))
        chosen = FvpSettings.model_validate({"executable": executable, **settings})
        return FvpTarget(chosen, tmp_path / "logs", ReferenceRunner())

    return target


def left_behind(directory: Path) -> list[int]:
    """Processes that work in `directory`."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                where = str((process / "cwd").readlink())
            except OSError:
                continue
            if where.startswith(str(directory)):
                found.append(int(process.name))
    return found


def logs_of(job: Job, tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "logs" / job.cell_id).iterdir())


def test_it_measures_what_the_simulator_does(make: Make, job: Job, tmp_path: Path) -> None:
    target = make(inferences_per_process=2)
    target.prepare()
    answer, expected = target.run(job), SimulatorTarget().run(job)
    assert answer.counters == expected.counters
    np.testing.assert_array_equal(answer.outputs[0], expected.outputs[0])
    assert [path.name for path in logs_of(job, tmp_path)] == ["attempt-1.log", "attempt-2.log"]
    assert b"BENCH1 0" in logs_of(job, tmp_path)[0].read_bytes()
    assert left_behind(tmp_path / "work") == []
    assert list((tmp_path / "work").iterdir()) == [], "working directories are removed"


def test_it_says_what_ran_and_names_no_place_of_this_machine(
    make: Make, job: Job, tmp_path: Path
) -> None:
    target = make()
    target.prepare()
    measurement = target.run(job)
    # The virtual platform is none of Arm's FVPs, and its figures are not called so.
    assert measurement.source is Source.SIMULATED
    assert set(measurement.kinds.values()) == {"modelled"}
    told = measurement.provenance
    assert "Virtual Corstone-300" in told["fvp"]
    assert told["firmware"] == firmware_sha256()
    assert told["command"].startswith(
        "FVP_Corstone_SSE-300_Ethos-U55 -a firmware.elf --data job.bin@0x70000000 "
        "-C ethosu.num_macs=64 "
    )
    for needed in ("start_telnet=0", "uart0.out_file=-", "shutdown_on_eot=1", "shutdown_tag="):
        assert needed in told["command"]
    assert "--fast" not in told["command"]
    everything = str(dict(told)) + str(dict(target.fingerprint()))
    assert str(tmp_path) not in everything
    assert sys.prefix not in everything


def test_the_fingerprint_follows_what_measurements_depend_on(make: Make, tmp_path: Path) -> None:
    plain = make().fingerprint()
    assert plain == make().fingerprint()
    assert plain == make(retries=3, seats=1, timeout_s=5).fingerprint()
    assert plain != make(parameters={"cpu0.CFGITCMSZ": 11}).fingerprint()
    other = FvpSettings(executable=str(write_fvp(tmp_path / "other", "cpu0.CFGITCMSZ=15")))
    assert plain != FvpTarget(other, tmp_path, ReferenceRunner()).fingerprint()


@pytest.mark.parametrize(
    ("fault", "kind", "says", "attempts"),
    [
        ("uart_lose_byte=600", InfrastructureError, "arrived damaged", 2),
        ("uart_flip_byte=600", InfrastructureError, "arrived damaged", 2),
        ("uart_truncate=900", InfrastructureError, "the answer was cut off after", 2),
        ("crash_at_start=1", InfrastructureError, r"crashed \(SIGSEGV\)", 2),
        ("hang=1", TargetError, "did not finish within 3200 million processor cycles", 1),
        ("macs=32", TargetError, "has 32 MACs/cc, the model was compiled for 64", 1),
        ("no_npu=1", TargetError, "there is no NPU", 1),
        ("adapter_version=0", TargetError, "the timing adapter of port 0 has version 0x0", 1),
        ("licence_error=1", PrerequisiteError, r"got no licence[\s\S]*Keil MDK", 1),
        (
            "missing_library=libpython3.9.so.1.0",
            PrerequisiteError,
            r"does not find the Python that came with it \(libpython3.9.so.1.0\)[\s\S]*PYTHONHOME",
            1,
        ),
        (
            "missing_library=libatomic.so.1",
            PrerequisiteError,
            r"library libatomic.so.1, which the FVP needs, is missing",
            1,
        ),
        ("flood_megabytes=100", TargetError, r"stopped after it had printed 6\d MB", 1),
    ],
)
def test_a_fault_is_a_precise_error(
    make: Make,
    job: Job,
    tmp_path: Path,
    fault: str,
    kind: type[BenchError],
    says: str,
    attempts: int,
    recwarn: pytest.WarningsRecorder,
) -> None:
    target = make(f"bench.fault.{fault}")
    target.prepare()
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(kind, match=says) as caught:
            target.run(job)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 150
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"{job.cell_id}: ")
    logs = logs_of(job, tmp_path)
    assert len(logs) == attempts
    assert str(logs[-1]) in str(caught.value), "the error names the log"
    assert len([w for w in recwarn if "tried again after" in str(w.message)]) == attempts - 1
    assert sum(path.stat().st_size for path in logs) < 20e6
    assert left_behind(tmp_path / "work") == []
    assert list((tmp_path / "work").iterdir()) == []


def test_a_hang_ends_in_time(make: Make, job: Job, tmp_path: Path) -> None:
    target = make("bench.fault.stall_at_uart_byte=700", timeout_s=3)
    started = time.monotonic()
    with pytest.raises(TargetError, match=r"stopped after 3 s: 0 of 3 [\s\S]*timeout_s"):
        target.run(job)
    assert time.monotonic() - started < 15
    assert left_behind(tmp_path / "work") == []


def test_one_bad_attempt_is_made_good_and_told(make: Make, job: Job, tmp_path: Path) -> None:
    target = make()
    script = tmp_path / "fvp" / "FVP_Corstone_SSE-300_Ethos-U55"
    once = tmp_path / "once"
    lines = script.read_text(encoding="utf-8").splitlines()
    asked = '[ "$1" = --version ]'
    lines.insert(1, f"{asked} || [ -e '{once}' ] || {{ : > '{once}'; kill -SEGV $$; }}")
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    target.prepare()
    with pytest.warns(RuntimeWarning, match="tried again after: the FVP crashed"):
        answer = target.run(job)
    assert answer.counters == SimulatorTarget().run(job).counters
    assert [path.name for path in logs_of(job, tmp_path)] == ["attempt-1.log", "attempt-2.log"]


def test_what_cannot_start_is_told_before_any_work(make: Make, tmp_path: Path) -> None:
    target = make()
    script = tmp_path / "fvp" / "FVP_Corstone_SSE-300_Ethos-U55"
    script.write_text(
        "#!/bin/sh\necho 'FVP: error while loading shared libraries: libpython3.9.so.1.0: cannot "
        "open shared object file' >&2\nexit 127\n",
        encoding="utf-8",
    )
    with pytest.raises(PrerequisiteError, match="does not find the Python that came with it"):
        target.prepare()
    script.write_text("#!/bin/sh\nkill -SEGV $$\n", encoding="utf-8")
    again = FvpTarget(FvpSettings(executable=str(script)), tmp_path / "logs", ReferenceRunner())
    with pytest.raises(PrerequisiteError, match="crashed"):
        again.prepare()


def test_the_version_counts_whatever_status_goes_with_it(tmp_path: Path) -> None:
    script = tmp_path / "FVP"
    script.write_text(
        "#!/bin/sh\necho; echo 'Fast Models [11.27.42 (Oct 23 2024)]'\n"
        "echo 'Copyright 2000-2024 Arm Limited.'; echo 'All Rights Reserved.'\nexit 1\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    target = FvpTarget(FvpSettings(executable=str(script)), tmp_path / "logs", ReferenceRunner())
    target.prepare()
    assert target.fingerprint()["version"] == "Fast Models [11.27.42 (Oct 23 2024)]"


def test_an_unknown_parameter_is_refused(make: Make, job: Job) -> None:
    target = make(parameters={"ethosu.macs": 3})
    with pytest.raises(BenchError, match=r"unknown parameter 'ethosu.macs'[\s\S]*--list-params"):
        target.run(job)


CONFIG = """
[grid]
macs = [32, 64]
memory_modes = ["Shared_Sram"]
targets = ["fvp"]

[workloads]
tiny = "tiny.tflite"
"""


def test_a_broken_cell_does_not_hurt_the_others(tmp_path: Path) -> None:
    """One accelerator's FVP never answers; the cells of the other are measured and pass."""
    runner = BenchRunner(tmp_path)
    (tmp_path / "tiny.tflite").write_bytes(small_mlp())
    script = write_fvp(tmp_path / "fvp")
    lines = script.read_text(encoding="utf-8").splitlines()
    lines.insert(1, 'case "$*" in *num_macs=32*) exit 3;; esac')
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with as_fvp(script):
        done = runner.run(runner.write_config(CONFIG), "-n", "2")
    assert done.returncode == 75, done.output[-3000:]
    assert set(done.records()) == {"tiny-base-u55_64-shared_sram-fvp"}
    assert "tiny-base-u55_32-shared_sram-fvp: the FVP ended with status 3" in done.output
    logs = done.directory.path / "logs"
    assert len(list((logs / "tiny-base-u55_32-shared_sram-fvp").iterdir())) == 2
    assert len(list((logs / "tiny-base-u55_64-shared_sram-fvp").iterdir())) == 1
    outcomes = done.outcomes()
    assert outcomes["test_reference[tiny-base-u55_64-shared_sram-fvp]"] == "passed"


def test_without_an_fvp_nothing_is_made_and_every_cell_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_FVP", raising=False)
    runner = BenchRunner(tmp_path)
    (tmp_path / "tiny.tflite").write_bytes(small_mlp())
    done = runner.run(runner.write_config(CONFIG))
    assert done.returncode == 75
    assert "target fvp is UNAVAILABLE: target fvp needs Arm's Corstone-300 FVP" in done.output
    assert "docs/fvp.md" in done.output
    assert "a run without a figure has failed" in done.output
    assert len(done.directory.unmeasured().found) == 2
    tree = ElementTree.parse(done.directory.path / "junit.xml")
    skipped = [case for case in tree.iter("testcase") if case.find("skipped") is not None]
    assert len(skipped) == len(list(tree.iter("testcase"))) > 0
    assert not done.cache.exists()


def test_ctrl_c_leaves_nothing(make: Make, job: Job, tmp_path: Path) -> None:
    make("bench.fault.stall_at_uart_byte=700")
    script = tmp_path / "fvp" / "FVP_Corstone_SSE-300_Ethos-U55"
    program = (
        "import pickle, signal, sys, tempfile\n"
        "from pathlib import Path\n"
        "from bench.tflite.reference import ReferenceRunner\n"
        "from targets.settings.fvp import FvpSettings\n"
        "from targets.fvp.target import FvpTarget\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "tempfile.tempdir = sys.argv[2]\n"
        "job = pickle.loads(Path(sys.argv[3]).read_bytes())\n"
        "settings = FvpSettings(executable=sys.argv[1])\n"
        "FvpTarget(settings, Path(sys.argv[4]), ReferenceRunner()).run(job)\n"
    )
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    work = tmp_path / "work"
    arguments = [str(script), str(work), str(tmp_path / "job"), str(tmp_path / "logs")]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=Path(__file__).resolve().parents[2],
        stderr=subprocess.DEVNULL,
    ) as bench:
        log = tmp_path / "logs" / job.cell_id / "attempt-1.log"
        deadline = time.monotonic() + 30
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        bench.send_signal(signal.SIGINT)
        bench.wait(20)
    assert log.exists()
    assert left_behind(work) == []
    assert list(work.iterdir()) == []


def test_jobs_of_another_accelerator_do_not_start(make: Make, tmp_path: Path) -> None:
    wrong = replace(small_job(tmp_path / "job"), accelerator=Accelerator.U55_256)
    with pytest.raises(TargetError, match="compiled for an Ethos-U55 of 64 MACs"):
        make().run(wrong)
    assert not (tmp_path / "logs").exists()
