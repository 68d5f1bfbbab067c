"""Real compiled models through firmware and virtual machine: what the simulator gives, exactly."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from bench.compiler import VelaOptions, compile_model
from targets.artefact import Artefact, load_artefact
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.pmu_events import event_number
from targets.ethos_u55.ports import PortMap
from targets.jobs.compiled import job_for
from targets.jobs.device_job import Image
from targets.jobs.errors import JobError
from targets.jobs.image import build_image
from targets.jobs.timing import timing_adapters
from targets.simulator.simulator import Simulator
from targets.simulator.timing import PROFILES
from targets.simulator.timing.events import pmu_events
from tests.support.fvp.firmware_runs import run_firmware
from tests.support.models.vela_files import mixed_graph, run_vela, small_mlp, zoo
from tests.support.promises import Costs, hold

pytest.importorskip("unicorn", reason="the package unicorn is missing: models NOT run")

from targets.virtual.machine import Settings
from targets.virtual.simulator_backend import SimulatorBackend

MODELS = (
    "ad01_int8",
    "kws_micronet_m",
    "kws_ref_model",
    "pretrainedResnet_quant",
    "vww_96_int8",
)
#: Six events: two passes.
EVENTS = (
    "NPU_ACTIVE",
    "MAC_ACTIVE",
    *(
        f"AXI{port}_{beat}"
        for port in (0, 1)
        for beat in ("RD_DATA_BEAT_RECEIVED", "WR_DATA_BEAT_WRITTEN")
    ),
)
PROFILE = PROFILES["u55_high_end"]
#: Each accelerator and each memory mode; the FVP target's tests run all of them.
CONFIGURATIONS = (
    (Accelerator.U55_32, MemoryMode.SHARED_SRAM),
    (Accelerator.U55_64, MemoryMode.SRAM_ONLY),
    (Accelerator.U55_128, MemoryMode.SHARED_SRAM),
    (Accelerator.U55_256, MemoryMode.SRAM_ONLY),
)


def random_inputs(artefact: Artefact, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-128, 128, tensor.shape).astype(tensor.dtype)
        for tensor in (artefact.tensors[index] for index in artefact.inputs)
    ]


def check(compiled: Path, mode: MemoryMode, rows: int) -> None:
    """One image with a job for each row; outputs and beats as the simulator's own."""
    artefact = load_artefact(compiled)
    assert artefact.macs is not None
    inputs = [random_inputs(artefact, seed) for seed in range(rows)]
    events = [event_number(name) for name in EVENTS]
    image = Image(
        tuple(
            job_for(
                artefact,
                row,
                name=f"row{i}",
                memory_mode=mode,
                events=events,
                timing=timing_adapters(PROFILE, mode),
            )
            for i, row in enumerate(inputs)
        )
    )
    ran = run_firmware(build_image(image), SimulatorBackend(), Settings(macs=artefact.macs))
    assert ran.answers.complete, ran.answers.problems
    simulator = Simulator(compiled, ports=PortMap.for_memory_mode(mode))
    expected = simulator.run([np.concatenate(column) for column in zip(*inputs, strict=True)])
    timing = {event.name: event.value for event in pmu_events(simulator.timing(mode, PROFILE))}
    for i in range(rows):
        answer = ran.answers.job(i)
        for given, wanted in zip(answer.outputs, expected.outputs, strict=True):
            assert given.data == wanted[i].tobytes()
        counters = answer.counters()
        assert len(answer.passes) == 2
        for name in EVENTS:
            assert counters[event_number(name)] == (timing[name],)
        assert answer.cycles() == (timing["NPU_ACTIVE"],) * 2


@pytest.mark.parametrize(("accelerator", "mode"), CONFIGURATIONS)
@pytest.mark.parametrize("model", MODELS)
def test_a_real_model(
    model: str, accelerator: Accelerator, mode: MemoryMode, tmp_path: Path
) -> None:
    source = zoo() / f"{model}.tflite"
    options = VelaOptions(accelerator=accelerator, memory_mode=mode)
    compiled = compile_model(source, options, tmp_path)
    check(compiled.path(tmp_path), mode, rows=2)


@pytest.mark.parametrize("extra", [(), ("--cop-format", "COP2")])
def test_a_small_model(extra: tuple[str, ...], tmp_path: Path) -> None:
    check(run_vela(small_mlp(softmax=True), tmp_path, *extra), MemoryMode.SHARED_SRAM, rows=5)


def test_a_model_with_cpu_operators_is_refused(tmp_path: Path) -> None:
    artefact = load_artefact(run_vela(mixed_graph(), tmp_path))
    with pytest.raises(JobError, match="operators after compilation, 1 of them for the CPU"):
        job_for(
            artefact,
            random_inputs(artefact, 0),
            name="mixed",
            memory_mode=MemoryMode.SHARED_SRAM,
            events=[],
        )


def test_wrong_inputs_are_refused(tmp_path: Path) -> None:
    artefact = load_artefact(run_vela(small_mlp(), tmp_path))
    for wrong in ([], [np.zeros((1, 40), np.uint8)], [np.zeros((1, 41), np.int8)]):
        with pytest.raises(JobError, match="takes"):
            job_for(artefact, wrong, name="x", memory_mode=MemoryMode.SHARED_SRAM, events=[])


@pytest.mark.speed
def test_a_round_trip_costs_little_more_than_the_simulator(tmp_path: Path) -> None:
    mode = MemoryMode.SHARED_SRAM
    options = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=mode)
    compiled = compile_model(zoo() / "vww_96_int8.tflite", options, tmp_path).path(tmp_path)
    artefact = load_artefact(compiled)
    inputs = random_inputs(artefact, 0)
    events = [event_number(name) for name in EVENTS]

    def alone() -> float:
        start = time.process_time()
        Simulator(load_artefact(compiled)).run(inputs)
        return time.process_time() - start

    def around() -> float:
        start = time.process_time()
        job = job_for(artefact, inputs, name="x", memory_mode=mode, events=events)
        ran = run_firmware(build_image(Image((job,))), SimulatorBackend())
        assert ran.answers.job(0).ok
        return time.process_time() - start

    def measure() -> Costs:
        taken, simulated = (min(work() for _ in range(3)) for work in (around, alone))
        return Costs(times={"beyond two runs": taken - 2 * simulated})

    hold(measure, Costs(times={"beyond two runs": 0.2}))
