"""The contract of every target: one suite, run by each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.measuring.measurements import EVENTS
from bench.tflite.interpreters import run_tflm
from bench.tflite.reference import ReferenceRunner
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.protocol import Job, Measurement, Source, Target
from targets.registry import TARGETS, TargetContext
from targets.settings import TargetSettings
from tests.support.boards.labgrid_place import labgrid_board
from tests.support.boards.virtual_board import virtual_board
from tests.support.fvp.stand_ins import virtual_fvp
from tests.support.models.compiled_jobs import compiled_job
from tests.support.models.tflite_factory import mlp

ODD_EVENTS = ("ECC_DMA", "AXI_LATENCY_ANY")


@pytest.fixture(scope="module")
def source_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(7)
    layers = [generator.integers(-127, 128, shape, dtype=np.int8) for shape in ((32, 64), (10, 32))]
    path = tmp_path_factory.mktemp("contract") / "model.tflite"
    path.write_bytes(mlp(layers, softmax=True))
    return path


@pytest.fixture(scope="module")
def jobs(source_model: Path) -> dict[tuple[Accelerator, MemoryMode], Job]:
    made = {}
    for macs, mode in [
        (Accelerator.U55_32, MemoryMode.SHARED_SRAM),
        (Accelerator.U55_128, MemoryMode.SHARED_SRAM),
        (Accelerator.U55_128, MemoryMode.SRAM_ONLY),
        (Accelerator.U55_256, MemoryMode.SRAM_ONLY),
    ]:
        directory = source_model.parent / f"{macs.slug}-{mode.slug}"
        made[macs, mode] = compiled_job(
            source_model, directory, accelerator=macs, memory_mode=mode, rows=8
        )
    return made


@pytest.fixture(scope="module", params=[*sorted(TARGETS), "mps3_by_labgrid"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    with _device(request.param, tmp_path_factory.mktemp("device")) as settings:
        context = TargetContext(
            reference=ReferenceRunner(), settings=settings, logs=tmp_path_factory.mktemp("logs")
        )
        made = TARGETS[request.param.partition("_by_")[0]].make(context)
        made.prepare()
        yield made
        made.close()
        made.close()


@contextmanager
def _device(name: str, directory: Path) -> Iterator[TargetSettings]:
    """What the target needs: the real thing where it is configured, else our virtual platform."""
    if name == "fvp":
        with virtual_fvp(directory):
            yield TargetSettings()
    elif name == "mps3":
        with virtual_board(directory) as board:
            yield TargetSettings(mps3=board.settings())
    elif name == "mps3_by_labgrid":
        with (
            virtual_board(directory / "b") as board,
            labgrid_board(board, directory / "l") as settings,
        ):
            yield TargetSettings(mps3=settings)
    else:
        yield TargetSettings()


@pytest.fixture(params=["small", "large"])
def job(
    request: pytest.FixtureRequest,
    jobs: dict[tuple[Accelerator, MemoryMode], Job],
    target: Target,
) -> Job:
    """The first and the last of those that the target's accelerators can run."""
    by_labgrid = "labgrid" in request.node.name
    if by_labgrid and request.param == "large" and not os.environ.get("BENCH_TEST_BOARD"):
        pytest.skip("a second job through labgrid takes half a minute: make test-board")
    possible = target.capabilities().accelerators
    mine = [job for (macs, _), job in jobs.items() if macs in possible]
    return mine[0 if request.param == "small" else -1]


@pytest.fixture(scope="module")
def known(target: Target) -> dict[int, Measurement]:
    """What this target has answered so far."""
    return {}


@pytest.fixture
def measured(target: Target, job: Job, known: dict[int, Measurement]) -> Measurement:
    """What the target answers to the job; run once for all tests that only look at it."""
    if id(job) not in known:
        known[id(job)] = target.run(job)
    return known[id(job)]


def test_it_is_a_target(target: Target) -> None:
    assert isinstance(target, Target)
    capabilities = target.capabilities()
    assert TARGETS[capabilities.name] is not None
    assert isinstance(capabilities.source, Source)
    assert target.fingerprint() == target.fingerprint()


def test_outputs_are_those_of_the_reference(measured: Measurement, job: Job) -> None:
    expected = run_tflm(job.source_model, job.inputs)
    assert len(measured.outputs) == len(expected)
    for got, want in zip(measured.outputs, expected, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_every_event_is_counted_or_explained(target: Target, job: Job) -> None:
    asked = (*EVENTS, *ODD_EVENTS)
    measurement = target.run(replace(job, events=asked))
    assert set(measurement.counters) | set(measurement.unavailable) == set(asked)
    assert not set(measurement.counters) & set(measurement.unavailable)
    countable = target.capabilities().events
    # Of what the bench judges, nothing that can be counted is lost behind a reason.
    assert set(EVENTS) & countable <= set(measurement.counters) <= countable
    assert measurement.counters["NPU_ACTIVE"] > 0
    assert all(type(count) is int and count >= 0 for count in measurement.counters.values())
    assert all(reason for reason in measurement.unavailable.values())
    # A stand-in for the device says that it simulates.
    assert measurement.source in (target.capabilities().source, Source.SIMULATED)


def test_counters_are_for_one_inference(target: Target, job: Job, measured: Measurement) -> None:
    one = target.run(replace(job, inputs=[array[:1] for array in job.inputs]))
    assert one.counters == measured.counters
    np.testing.assert_array_equal(one.outputs[0], measured.outputs[0][:1])


def test_the_same_job_gives_the_same_measurement(
    target: Target, job: Job, measured: Measurement
) -> None:
    again = target.run(job)
    assert again.counters == measured.counters
    assert again.provenance == measured.provenance
    for a, b in zip(again.outputs, measured.outputs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_traffic_is_never_nothing(measured: Measurement) -> None:
    counters = measured.counters
    reads = [count for event, count in counters.items() if event.endswith("RD_DATA_BEAT_RECEIVED")]
    # The weights alone are 64 * 32 + 32 * 10 bytes; random ones do not compress to a quarter.
    assert sum(reads) >= (64 * 32 + 32 * 10) // 8 // 4
