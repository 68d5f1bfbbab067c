"""Programs of the user's on target `fvp`: MLEK's inference runner, and ExecuTorch's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import PrerequisiteError, TargetError
from bench.measuring.measurements import EVENTS
from bench.tflite.interpreters import run_tflm
from bench.tflite.reference import ReferenceRunner
from targets.ethos_u55.accelerators import Accelerator
from targets.fvp import axf
from targets.fvp.target import FvpTarget
from targets.jobs.errors import UnsupportedGraphError
from targets.protocol import Job, Source
from targets.settings.fvp import FvpSettings
from tests.support.fvp import logs
from tests.support.fvp.stand_ins import write_fvp, write_runner_fvp
from tests.support.models.compiled_jobs import small_job
from tests.support.models.vela_files import mixed_graph, run_vela

Make = Callable[..., FvpTarget]
END = "Application exit code: 0.\n\x04EXITTHESIM\n"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return small_job(tmp_path_factory.mktemp("job"))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a target on an FVP that prints the given log; the program is `program.axf`."""
    (tmp_path / "program.axf").write_bytes(b"program")

    def target(log: str, **settings: object) -> FvpTarget:
        chosen = {
            "executable": str(write_runner_fvp(tmp_path / "fvp", log + END)),
            "axf": str(tmp_path / "program.axf"),
            **settings,
        }
        return FvpTarget(FvpSettings.model_validate(chosen), tmp_path / "logs", ReferenceRunner())

    return target


def test_mlek_gives_outputs_and_the_counters_it_prints(make: Make, job: Job) -> None:
    target = make(logs.MLEK, runner="mlek")
    target.prepare()
    answer = target.run(replace(job, events=(*EVENTS, "MAC_ACTIVE")))
    np.testing.assert_array_equal(answer.outputs[0], run_tflm(job.source_model, job.inputs)[0])
    assert answer.source is Source.FVP
    assert answer.counters == {
        "NPU_ACTIVE": 91050,
        "AXI0_RD_DATA_BEAT_RECEIVED": 9012,
        "AXI0_WR_DATA_BEAT_WRITTEN": 3345,
        "AXI1_RD_DATA_BEAT_RECEIVED": 12618,
    }
    assert "did not print it" in answer.unavailable["MAC_ACTIVE"]
    assert set(answer.counters) <= target.capabilities().events
    assert target.capabilities().executes_artefact
    assert "profile is not used" in answer.provenance["timing"]
    assert "program" in answer.provenance


def test_a_graph_with_cpu_operators_runs_under_mlek(make: Make, job: Job, tmp_path: Path) -> None:
    """Our firmware refuses such a graph and says what helps; two inputs are too many for MLEK."""
    compiled = run_vela(mixed_graph(), tmp_path / "mixed", macs=64)
    inputs = [np.zeros((2, 24), np.int8), np.zeros((2, 40), np.int8)]
    mixed = replace(job, compiled_model=compiled, inputs=inputs)
    firmware = FvpTarget(
        FvpSettings(executable=str(write_fvp(tmp_path / "virtual"))),
        tmp_path / "logs",
        ReferenceRunner(),
    )
    with pytest.raises(UnsupportedGraphError, match=r'runner = "mlek"') as caught:
        firmware.run(mixed)
    assert "mlia-ethos-u" in str(caught.value)
    with pytest.raises(TargetError, match="has 2 inputs and 2 outputs"):
        make(logs.MLEK, runner="mlek").run(mixed)


def test_executorch_gives_counters_and_says_whose_the_outputs_are(make: Make, job: Job) -> None:
    target = make(logs.EXECUTORCH, runner="executorch")
    target.prepare()
    answer = target.run(replace(job, events=(*EVENTS, "CYCLE")))
    assert answer.counters["NPU_ACTIVE"] == 91050
    assert answer.counters["CYCLE"] == 92263
    assert not target.capabilities().executes_artefact
    assert "reference interpreter" in answer.provenance["outputs"]
    np.testing.assert_array_equal(answer.outputs[0], run_tflm(job.source_model, job.inputs)[0])


def test_a_program_for_each_cell(make: Make, job: Job, tmp_path: Path) -> None:
    pattern = str(tmp_path / "{workload}-{variant}-{macs}-{memory_mode}.axf")
    target = make(logs.MLEK, runner="mlek", axf=pattern)
    with pytest.raises(PrerequisiteError, match=r"there is no .*\{macs\}"):
        target.prepare()
    (tmp_path / "tiny-base-64-shared_sram.axf").write_bytes(b"program for one cell")
    target.prepare()
    assert not target.capabilities().executes_artefact, "the model inside is the program's own"
    assert target.run(job).counters["NPU_ACTIVE"] == 91050
    before = target.fingerprint()
    (tmp_path / "tiny-base-256-shared_sram.axf").write_bytes(b"program for another cell")
    assert axf.Programs(pattern).identity() != before["program"]
    # What is built while a bench runs is for the next one.
    assert target.fingerprint() == before
    with pytest.raises(TargetError, match="was changed while the bench was running"):
        target.run(replace(job, accelerator=Accelerator.U55_256))
    (tmp_path / "tiny-base-64-shared_sram.axf").write_bytes(b"another program for one cell")
    with pytest.raises(TargetError, match="was changed while the bench was running"):
        target.run(job)
    with pytest.raises(PrerequisiteError, match=r"other-base-64-shared_sram.axf cannot be read"):
        target.run(replace(job, cell_id="other-base-u55_64-shared_sram-fvp"))
    with pytest.raises(PrerequisiteError, match=r"\{model\} is not a placeholder"):
        make("", runner="mlek", axf="{model}.axf").prepare()


def test_what_fails_on_the_device_is_told(make: Make, job: Job, tmp_path: Path) -> None:
    mismatch = "E: NPU config mismatch. npu.macs_per_cc=128, optimizer.macs_per_cc=64\n"
    target = make(f"{mismatch}ERROR - Inference failed.\n", runner="mlek")
    with pytest.raises(TargetError, match="the NPU has 128 MACs/cc, the model was compiled for 64"):
        target.run(job)
    assert len(list((tmp_path / "logs" / job.cell_id).iterdir())) == 1
    with pytest.raises(TargetError, match="printed no inference"):
        make("INFO - hello\n", runner="mlek", retries=0).run(job)


def test_the_built_runner_of_the_package_is_found_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if axf.prebuilt_runner() is None:
        with pytest.raises(PrerequisiteError, match="is not installed"):
            FvpTarget(FvpSettings(runner="mlek"), tmp_path, ReferenceRunner()).prepare()
    info = tmp_path / "mlia_ethos_u-0.1.0.dist-info"
    program = tmp_path / "mlia" / "resources" / "backends" / "applications" / axf._PREBUILT
    program.parent.mkdir(parents=True)
    program.write_bytes(b"program")
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: mlia-ethos-u\nVersion: 0.1.0\n", encoding="utf-8"
    )
    (info / "RECORD").write_text(f"{program.relative_to(tmp_path)},,\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PrerequisiteError, match=r"not that of 0\.1\.0"):
        axf.prebuilt_runner()
    monkeypatch.setattr(axf, "_PREBUILT_SHA256", hashlib.sha256(b"program").hexdigest())
    assert axf.prebuilt_runner() == program
    assert "has an interpreter" in axf.offer()
