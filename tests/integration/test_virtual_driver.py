"""The habits of Arm's driver on the virtual Corstone-300, as programs in C that have them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from targets.artefact.stream.decode import decode
from targets.artefact.stream.operations import Conv
from targets.artefact.stream.registers import Reg
from targets.ethos_u55.identification import PERIPHERAL_IDENTITY
from targets.firmware.elf import Program
from targets.jobs.device_job import DeviceJob, Image
from targets.jobs.image import build_image
from targets.virtual.backend import Channel, NpuFault
from tests.support.fvp.driver_runs import (
    Request,
    Scenario,
    build_client,
    run_client,
    small_network,
)
from tests.support.fvp.firmware_runs import run_firmware
from tests.support.streams.commands import join, split

pytest.importorskip("unicorn", reason="the package unicorn is missing: the driver is NOT run")

from targets.virtual.machine import Machine, Stop, StopReason
from targets.virtual.simulator_backend import SimulatorBackend

IRQ, END_REACHED, PMU_IRQ = 1 << 1, 1 << 5, 1 << 6
CYCLE_COUNTER = 1 << 31
CYCLE, NPU_IDLE, NPU_ACTIVE, AXI0_READ = 17, 32, 35, 130
#: A region of the NPU's that the network does not use, and an address that the NPU does not reach.
SPARE_REGION, DTCM = 5, 0x3000_0000
PERIOD = 1000

Run = Callable[..., tuple[Stop, list[int], Machine]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return build_client(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[DeviceJob, Request]:
    return small_network(tmp_path_factory.mktemp("network"))


@pytest.fixture
def run(program: Program, network: tuple[DeviceJob, Request]) -> Run:
    """Run a scenario on the network; arguments change the request."""
    job, request = network

    def one(scenario: Scenario, **changes: object) -> tuple[Stop, list[int], Machine]:
        changed = dataclasses.replace(request, **changes)  # type: ignore[arg-type]
        return run_client(program, scenario, changed, job)

    return one


def finished(run: Run, scenario: Scenario, **changes: object) -> list[int]:
    stop, notes, _ = run(scenario, **changes)
    assert stop.reason is StopReason.EXIT
    return notes


def test_the_driver_sleeps_on_its_semaphore(run: Run, network: tuple[DeviceJob, Request]) -> None:
    notes = finished(run, Scenario.SEMAPHORE)
    end = len(network[1].commands)
    assert notes == [1, 1, END_REACHED, end, 1, 2, END_REACHED, end]


@pytest.mark.parametrize("systick_cycles", [0, PERIOD])
def test_a_sleep_with_interrupts_masked_wakes_and_then_takes_the_interrupt(
    run: Run, systick_cycles: int
) -> None:
    notes = finished(run, Scenario.NO_RACE, systick_cycles=systick_cycles)
    # Awake, the handler has not run; unmasked, it has. Twice, and no tick had to help.
    assert notes == [0, 1, 1, 1, 2, 1, 0]


@pytest.mark.parametrize("scenario", [Scenario.CRITICAL_SECTION, Scenario.PENDING])
def test_other_ways_to_sleep_masked(
    run: Run, network: tuple[DeviceJob, Request], scenario: Scenario
) -> None:
    stop, notes, machine = run(scenario)
    assert stop.reason is StopReason.EXIT
    assert notes == [0, 1]
    job = network[0]
    output = job.outputs[0]
    given = machine.memory.read(job.arena_address + output.arena_offset, output.size)
    expected = run_firmware(build_image(Image((job,))), SimulatorBackend()).answers.job(0)
    assert given == expected.outputs[0].data


def test_events_let_one_sleep_each_through(run: Run) -> None:
    stop, notes, _ = run(Scenario.EVENTS)
    assert notes == [1, 2, 1, 3]
    assert stop.reason is StopReason.SIMULATED_TIME


def conv_at(request: Request, index: int) -> Conv:
    operations = decode(np.frombuffer(request.commands, "<u4").astype(np.uint32), 128)
    conv = operations[index]
    assert isinstance(conv, Conv)
    return conv


def check_fault(notes: list[int], status: int, qread: int) -> None:
    """The handler sees it, a new run does not clear it and executes nothing, a reset does."""
    once = [0, status | IRQ, status, qread]
    assert notes == [*once, *once, 1, 0]


@pytest.mark.parametrize("layer", [0, 1])
def test_corrupt_weights_are_a_fault_of_the_decoder(
    run: Run, network: tuple[DeviceJob, Request], layer: int
) -> None:
    request = network[1]
    conv = conv_at(request, layer)
    flash = bytearray(request.flash)
    flash[conv.weights.address] ^= 0x5A
    notes = finished(run, Scenario.FAULT, flash=bytes(flash))
    check_fault(notes, NpuFault.WEIGHT_DECODER, 4 * conv.word)


def moved(request: Request, register: Reg) -> bytes:
    """The stream with the last setting of a region register changed to `SPARE_REGION`."""
    commands = split(np.frombuffer(request.commands, "<u4").astype(np.uint32))
    last = [c for c in commands if c[0] & 0xFFFF == register][-1]
    last[0] = register | SPARE_REGION << 16
    return join(commands).astype("<u4").tobytes()


@pytest.mark.parametrize("port", [0, 1])
@pytest.mark.parametrize(
    ("register", "channel"),
    [
        (Reg.IFM_REGION, Channel.IFM),
        (Reg.WEIGHT_REGION, Channel.WEIGHTS),
        (Reg.SCALE_REGION, Channel.SCALES),
        (Reg.OFM_REGION, Channel.OFM),
    ],
)
def test_a_bus_abort_says_where(
    run: Run, network: tuple[DeviceJob, Request], register: Reg, channel: Channel, port: int
) -> None:
    request = network[1]
    commands = moved(request, register)
    operations = decode(np.frombuffer(commands, "<u4").astype(np.uint32), 128)
    regions = {
        Reg.IFM_REGION: lambda conv: conv.ifm.region,
        Reg.WEIGHT_REGION: lambda conv: conv.weights.region,
        Reg.SCALE_REGION: lambda conv: conv.scales.region,
        Reg.OFM_REGION: lambda conv: conv.ofm.region,
    }
    word = next(
        op.word
        for op in operations
        if isinstance(op, Conv) and regions[register](op) == SPARE_REGION
    )
    bases = list(request.bases)
    bases[SPARE_REGION] = DTCM
    field = 2 * SPARE_REGION
    notes = finished(
        run,
        Scenario.FAULT,
        commands=commands,
        bases=tuple(bases),
        regioncfg=request.regioncfg & ~(3 << field) | port << 1 << field,
    )
    check_fault(notes, NpuFault.BUS_ABORT | port << 11 | channel << 12, 4 * word)


def test_a_stream_that_ends_inside_a_word_is_a_parse_error(
    run: Run, network: tuple[DeviceJob, Request]
) -> None:
    size = len(network[1].commands)
    for cut, qread in ((3, size - 4), (1, size - 4), (4, size - 4), (size - 2, 0)):
        notes = finished(run, Scenario.FAULT, stream_bytes=size - cut)
        check_fault(notes, NpuFault.COMMAND_PARSE, qread)


def test_reserved_bits_of_qconfig_are_ignored(run: Run, network: tuple[DeviceJob, Request]) -> None:
    notes = finished(run, Scenario.SEMAPHORE, qconfig=0xFFFF_FFFC | network[1].qconfig)
    assert notes[0] == 1


def test_an_overflow_raises_the_pmu_interrupt_once(run: Run) -> None:
    beats = 9
    notes = finished(run, Scenario.OVERFLOW, event=AXI0_READ, preset=0xFFFF_FFFF)
    first, second, last = notes[:6], notes[6:12], notes[12:]
    # Clearing the interrupt does not clear the overflow; PMOVSCLR does.
    assert first == [1, PMU_IRQ | END_REACHED | IRQ, END_REACHED, CYCLE_COUNTER | 1, 0, beats - 1]
    assert second == [1, END_REACHED | IRQ, END_REACHED, 0, 0, 2 * beats - 1]
    assert last == [4, 1, PMU_IRQ | END_REACHED]


def test_an_overflow_without_its_interrupt_is_quiet(run: Run) -> None:
    notes = finished(run, Scenario.OVERFLOW, event=AXI0_READ, preset=0)
    # The cycle counter overflows, but only counter 0 has its interrupt enabled.
    assert notes[1:4] == [END_REACHED | IRQ, END_REACHED, CYCLE_COUNTER]


@pytest.mark.parametrize(
    ("start", "stop", "counts_active", "idle_periods"),
    [
        (0, 0, True, 3),
        (NPU_ACTIVE, NPU_IDLE, True, 0),
        (NPU_IDLE, NPU_ACTIVE, False, 3),
        (NPU_ACTIVE, 0, True, 2),
        (AXI0_READ, NPU_IDLE, True, 0),
        (0, AXI0_READ, True, 1),
        (CYCLE, 0, True, 3),
        (1023, 0, False, 0),
    ],
)
def test_the_cycle_counter_counts_between_its_events(
    run: Run, start: int, stop: int, counts_active: bool, idle_periods: int
) -> None:
    notes = finished(run, Scenario.CYCLES, cycle_config=start | stop << 16, systick_cycles=PERIOD)
    succeeded, ticks, counted, cycles, active, idle, nothing = notes
    assert (succeeded, ticks, nothing) == (1, 3, 0)
    assert idle == 3 * PERIOD
    assert active > 0
    assert cycles == active + idle
    assert counted == active * counts_active + idle_periods * PERIOD


def test_the_npu_identifies_itself(run: Run) -> None:
    assert finished(run, Scenario.IDENTITY) == list(PERIPHERAL_IDENTITY.values())
    assert list(PERIPHERAL_IDENTITY) == list(range(0xFD0, 0x1000, 4))
