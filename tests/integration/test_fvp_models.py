"""Target `fvp` on the virtual platform against target `sim`: outputs and counters, bit by bit.

A short version runs in CI: every model, accelerator and memory mode occurs, and `test_main_job`
adds the cells of `mnist_fc`. `make test-fvp` runs each model in all eight configurations, and the
whole default grid as users do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.tflite.reference import ReferenceRunner
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.fvp.target import FvpTarget
from targets.protocol import Job, Source
from targets.settings.fvp import FvpSettings
from targets.sim import SimulatorTarget
from tests.support.bench_runs import DEFAULT_CONFIG, BenchRunner
from tests.support.fvp.stand_ins import virtual_fvp, write_fvp
from tests.support.models.compiled_jobs import compiled_job
from tests.support.models.vela_files import zoo

MODELS = (
    "ad01_int8",
    "kws_micronet_m",
    "kws_ref_model",
    "pretrainedResnet_quant",
    "vww_96_int8",
)
ALL = tuple((macs, mode) for macs in Accelerator for mode in MemoryMode)
#: One configuration for each model.
SHORT = tuple((model, *ALL[(2 * i + i // 4) % len(ALL)]) for i, model in enumerate(MODELS))
FULL = tuple((model, *configuration) for model in MODELS for configuration in ALL)
#: The variable that asks for everything; set by `make test-fvp`.
FULL_VARIABLE = "BENCH_TEST_FVP"
#: Twelve events: three passes of the NPU.
EVENTS = (
    *("NPU_ACTIVE", "MAC_ACTIVE", "MAC_ACTIVE_8BIT", "AO_ACTIVE", "WD_ACTIVE"),
    *(f"AXI{port}_RD_DATA_BEAT_RECEIVED" for port in (0, 1)),
    *(f"AXI{port}_WR_DATA_BEAT_WRITTEN" for port in (0, 1)),
    *(f"AXI{port}_RD_TRANS_ACCEPTED" for port in (0, 1)),
    "CC_STALLED_ON_BLOCKDEP",
)

full = os.environ.get(FULL_VARIABLE, "") not in ("", "0")


@pytest.fixture(scope="module")
def fvp(tmp_path_factory: pytest.TempPathFactory) -> FvpTarget:
    executable = write_fvp(tmp_path_factory.mktemp("fvp"))
    settings = FvpSettings(executable=str(executable))
    return FvpTarget(settings, tmp_path_factory.mktemp("logs"), ReferenceRunner())


@pytest.fixture(scope="module")
def default_fvp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with virtual_fvp(tmp_path_factory.mktemp("fvp")) as executable:
        yield executable


def require_equal(fvp: FvpTarget, job: Job) -> None:
    answer, expected = fvp.run(job), SimulatorTarget().run(job)
    assert answer.counters == expected.counters
    assert set(answer.counters) == set(EVENTS)
    assert answer.provenance["passes"] == "3"
    assert len(answer.outputs) == len(expected.outputs)
    for given, wanted in zip(answer.outputs, expected.outputs, strict=True):
        assert given.dtype == wanted.dtype
        np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize(("model", "accelerator", "mode"), FULL if full else SHORT)
def test_a_real_model(
    fvp: FvpTarget, model: str, accelerator: Accelerator, mode: MemoryMode, tmp_path: Path
) -> None:
    job = compiled_job(
        zoo() / f"{model}.tflite",
        tmp_path,
        accelerator=accelerator,
        memory_mode=mode,
        rows=2,
        events=EVENTS,
    )
    require_equal(fvp, job)


@pytest.mark.skipif(not full, reason="the default grid on fvp takes minutes: make test-fvp")
def test_the_default_grid_on_it(default_fvp: str, tmp_path: Path) -> None:
    runner = BenchRunner(tmp_path)
    expected = runner.run(DEFAULT_CONFIG, "-n", "auto", "--bench-target=sim", timeout=3600)
    assert expected.returncode == 0, expected.output[-4000:]
    twins = expected.records()
    done = runner.run(DEFAULT_CONFIG, "-n", "auto", "--bench-target=fvp", timeout=4 * 3600)
    assert done.returncode == 0, done.output[-4000:]
    records = done.records()
    assert len(records) == 64
    # An FVP of Arm's, if $BENCH_FVP names one, counts for itself.
    may_differ = bool(os.environ.get("BENCH_FVP"))
    for name, record in records.items():
        twin = twins[name.removesuffix("fvp") + "sim"]
        simulated = record.measurement.source is Source.SIMULATED
        assert simulated or may_differ, name
        if simulated:
            assert record.measurement.counters == twin.measurement.counters, name
        assert record.measurement.outputs_sha256 == twin.measurement.outputs_sha256, name
        assert record.accuracy == twin.accuracy, name
