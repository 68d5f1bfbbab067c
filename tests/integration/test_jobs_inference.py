"""A bench job on its way through the firmware and back: rows, images, counters, outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.compiler import VelaOptions, compile_model
from bench.core.arrays import Array
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.jobs.device_job import Image
from targets.jobs.errors import AnswerError, JobError
from targets.jobs.image import build_image
from targets.jobs.inference import Batch, BatchLimits, Inference
from targets.protocol import Job, Measurement, Source
from targets.sim import SimulatorTarget
from targets.simulator.timing import PROFILES
from tests.support.fvp.firmware_runs import run_firmware
from tests.support.models.vela_files import mixed_graph, run_vela, small_mlp

pytest.importorskip("unicorn", reason="the package unicorn is missing: firmware NOT run")

from targets.virtual.machine import Settings
from targets.virtual.simulator_backend import SimulatorBackend

ROWS = 7
EVENTS = (
    *("NPU_ACTIVE", "MAC_ACTIVE", "AO_ACTIVE", "WD_ACTIVE", "AXI0_RD_DATA_BEAT_RECEIVED"),
    *("AXI0_WR_DATA_BEAT_WRITTEN", "AXI1_RD_DATA_BEAT_RECEIVED", "AXI1_WR_DATA_BEAT_WRITTEN"),
    "NO_SUCH_EVENT",
)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    directory = tmp_path_factory.mktemp("inference")
    source = directory / "model.tflite"
    source.write_bytes(small_mlp(softmax=True))
    options = VelaOptions(accelerator=Accelerator.U55_64, memory_mode=MemoryMode.SHARED_SRAM)
    compiled = compile_model(source, options, directory)
    shape = (ROWS, 40)
    return Job(
        cell_id="mlp-base-u55_64-shared_sram-device",
        accelerator=Accelerator.U55_64,
        memory_mode=MemoryMode.SHARED_SRAM,
        source_model=source,
        compiled_model=compiled.path(directory),
        vela_version=compiled.vela_version,
        report=compiled.report,
        timing=PROFILES["u55_high_end"],
        timing_name="u55_high_end",
        inputs=[np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)],
        events=EVENTS,
    )


def device(inference: Inference, limits: BatchLimits) -> list[Batch]:
    """Let the virtual device answer all of it."""
    batches = list(inference.batches(limits))
    for batch in batches:
        image = build_image(Image(batch.jobs))
        ran = run_firmware(image, SimulatorBackend(), Settings(macs=64))
        inference.take(batch, ran.answers)
    return batches


def measured(inference: Inference) -> Measurement:
    return inference.measurement(Source.SIMULATED, unavailable={}, provenance={"by": "this test"})


@pytest.mark.parametrize("jobs", [1, 3, 100])
def test_it_is_what_the_simulator_measures(job: Job, jobs: int) -> None:
    inference = Inference(job)
    batches = device(inference, BatchLimits(jobs=jobs))
    assert len(batches) == -(-ROWS // min(jobs, ROWS))
    assert [row for batch in batches for row in range(batch.start, batch.stop)] == list(range(ROWS))
    inference.require_same_cycles()
    answer, wanted = measured(inference), SimulatorTarget().run(job)
    assert answer.counters == wanted.counters
    assert answer.unavailable == wanted.unavailable
    assert answer.provenance["passes"] == "2"
    for given, expected in zip(answer.outputs, wanted.outputs, strict=True):
        assert given.dtype == expected.dtype
        np.testing.assert_array_equal(given, expected)


def test_images_stay_below_their_limit(job: Job) -> None:
    size = 9 << 10
    images = [
        build_image(Image(batch.jobs))
        for batch in Inference(job).batches(BatchLimits(image_bytes=size))
    ]
    assert 1 < len(images) < ROWS
    assert max(map(len, images)) <= size


def test_an_event_a_device_does_not_count_is_no_nought(job: Job) -> None:
    inference = Inference(job)
    device(inference, BatchLimits())
    reason = "the device does not count it"
    answer = inference.measurement(
        Source.FVP, unavailable={"MAC_ACTIVE": reason, "ECC_DMA": reason}, provenance={}
    )
    assert answer.unavailable["MAC_ACTIVE"] == reason
    assert "MAC_ACTIVE" not in answer.counters
    assert "ECC_DMA" not in answer.unavailable, "nobody asked for it"


def test_an_incomplete_answer_is_no_measurement(job: Job) -> None:
    inference = Inference(job)
    first, *_ = inference.batches(BatchLimits(jobs=3))
    ran = run_firmware(build_image(Image(first.jobs[:2])), SimulatorBackend(), Settings(macs=64))
    with pytest.raises(AnswerError, match="no answer for job 2"):
        inference.take(first, ran.answers)
    with pytest.raises(AnswerError, match="no answer for input 2"):
        measured(inference)


def test_inferences_of_different_cycles_are_noticed(job: Job) -> None:
    inference = Inference(job)
    for batch in inference.batches(BatchLimits(jobs=4)):
        slower = [replace(one, timing=(None, None)) for one in batch.jobs]
        jobs = batch.jobs if batch.start == 0 else tuple(slower)
        image = build_image(Image(jobs))
        ran = run_firmware(image, SimulatorBackend(), Settings(macs=64))
        inference.take(batch, ran.answers)
    with pytest.raises(AnswerError, match="different numbers of cycles"):
        inference.require_same_cycles()
    counts = inference.cycles()
    share = (max(counts) - min(counts)) / min(counts)
    inference.require_same_cycles(tolerance=share)
    with pytest.raises(AnswerError, match="different numbers of cycles"):
        inference.require_same_cycles(tolerance=0.99 * share)


def test_passes_may_differ_by_the_tolerance_and_outputs_never(job: Job) -> None:
    inference = Inference(job)
    first, *_ = inference.batches(BatchLimits(jobs=1))
    ran = run_firmware(build_image(Image(first.jobs)), SimulatorBackend(), Settings(macs=64))
    sound = ran.answers.job(0)
    one, two = sound.passes
    later = two.model_copy(update={"cycles": two.cycles + two.cycles // 100})
    drifting = replace(sound, passes=(one, later), stable=False)
    drifting.require_sound(tolerance=0.01)
    for tolerance in (0.0, 0.009):
        with pytest.raises(AnswerError, match="its passes disagree"):
            drifting.require_sound(tolerance)
    other = two.model_copy(update={"outputs_crc32": two.outputs_crc32 ^ 1})
    with pytest.raises(AnswerError, match="its passes disagree"):
        replace(sound, passes=(one, other), stable=False).require_sound(tolerance=0.05)


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [np.zeros((3, 41), np.int8)],
        [np.zeros((3, 40), np.uint8)],
        [np.zeros((0, 40), np.int8)],
        [np.zeros((3, 40), np.int8)] * 2,
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_anything_runs(
    job: Job, inputs: list[Array]
) -> None:
    with pytest.raises(JobError, match=r"takes|one number above 0"):
        Inference(replace(job, inputs=inputs))


def test_another_accelerator_is_refused(job: Job) -> None:
    with pytest.raises(JobError, match="compiled for an Ethos-U55 of 64 MACs"):
        Inference(replace(job, accelerator=Accelerator.U55_256))


def test_a_model_with_cpu_operators_is_refused(job: Job, tmp_path: Path) -> None:
    compiled = run_vela(mixed_graph(), tmp_path)
    inputs = [np.zeros((1, 24), np.int8), np.zeros((1, 40), np.int8)]
    mixed = replace(job, compiled_model=compiled, accelerator=Accelerator.U55_128, inputs=inputs)
    with pytest.raises(JobError, match="1 of them for the CPU"):
        Inference(mixed)
