"""The virtual Corstone-300's parts: registers, command line, ELF reader, memory."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import ModelError
from targets.firmware import firmware_elf
from targets.firmware.elf import Program, Segment, read_elf
from targets.virtual.backend import Channel, NpuFault, NpuMemory, NpuOutcome, NpuRequest
from targets.virtual.errors import BusError, MachineError, ParameterError
from targets.virtual.memory import Memory
from targets.virtual.npu import Npu
from targets.virtual.peripherals import ProtectionController, TimingAdapters, Uart
from targets.virtual.semihosting import Exit, Semihosting
from targets.virtual.wire import UartFaults, Wire

pytest.importorskip("unicorn", reason="the package unicorn is missing: the machine is NOT tested")

from targets.virtual.machine import Limits, Machine, Settings, StopReason
from targets.virtual.options import DataFile, Dump, parse_options

PMCR, CNTENSET, CNTENCLR, OVERFLOW = 0x180, 0x184, 0x188, 0x18C
CYCLES_LOW, CYCLES_HIGH, COUNTER, EVENT = 0x1A0, 0x1A4, 0x300, 0x380
STATUS, CMD, RESET, QBASE, QREAD, QSIZE, CONFIG = 0x04, 0x08, 0x0C, 0x10, 0x18, 0x20, 0x28
DDR = 0x6000_0000
NO_TIMING = ((0,) * 10, (0,) * 10)


class Backend:
    def __init__(self, outcome: NpuOutcome) -> None:
        self.outcome = outcome
        self.runs = 0

    def run(self, request: NpuRequest) -> NpuOutcome:
        self.runs += 1
        return self.outcome


def npu(outcome: NpuOutcome, macs: int = 128) -> tuple[Npu, Backend]:
    backend = Backend(outcome)
    device = Npu(macs, backend, NpuMemory(Memory()), lambda: NO_TIMING)
    device.write(QBASE, DDR)
    device.write(QSIZE, 16)
    return device, backend


def test_only_selected_and_enabled_events_are_counted() -> None:
    device, _ = npu(NpuOutcome(cycles=(1 << 33) + 7, counters={35: 11, 130: 12}))
    for i, event in enumerate((35, 130, 131, 35)):
        device.write(EVENT + 4 * i, event)
    device.write(CNTENSET, 0x8000_0007)
    device.write(PMCR, 1)
    device.write(CMD, 1)
    device.advance()
    assert [device.read(COUNTER + 4 * i) for i in range(4)] == [11, 12, 0, 0]
    assert (device.read(CYCLES_LOW), device.read(CYCLES_HIGH)) == (7, 2)
    # A second run adds; disabled counters and a stopped unit do not.
    device.write(CNTENCLR, 1)
    device.write(CMD, 1)
    assert device.read(STATUS) == 0x22
    assert [device.read(COUNTER + 4 * i) for i in range(2)] == [11, 24]
    device.write(PMCR, 0)
    device.write(CMD, 1)
    device.advance()
    assert device.read(COUNTER + 4) == 24
    device.write(PMCR, 6)
    assert [device.read(at) for at in (COUNTER + 4, CYCLES_LOW, CYCLES_HIGH)] == [0, 0, 0]


def test_counters_are_32_bits_wide_and_say_when_they_overflow() -> None:
    device, _ = npu(NpuOutcome(cycles=(1 << 48) + 5, counters={35: (1 << 32) + 3}))
    device.write(EVENT, 35)
    device.write(CNTENSET, 0x8000_0001)
    device.write(PMCR, 1)
    device.write(CMD, 1)
    device.advance()
    assert device.read(COUNTER) == 3
    assert (device.read(CYCLES_LOW), device.read(CYCLES_HIGH)) == (5, 0)
    assert device.read(OVERFLOW) == 0x8000_0001


def test_the_interrupt_is_raised_and_cleared() -> None:
    device, backend = npu(NpuOutcome())
    device.write(CMD, 1)
    assert not device.interrupt
    assert device.read(STATUS) == 0x22
    assert device.interrupt
    assert device.read(QREAD) == 16
    device.write(CMD, 2)
    assert not device.interrupt
    assert device.read(STATUS) == 0x20
    assert backend.runs == 1


def test_a_bus_abort_names_port_and_channel() -> None:
    device, _ = npu(
        NpuOutcome(faults=NpuFault.BUS_ABORT, fault_port=1, fault_channel=Channel.OFM, read_bytes=4)
    )
    device.write(CMD, 1)
    assert device.read(STATUS) == 0b110 | 1 << 11 | 8 << 12
    assert device.read(QREAD) == 4


def test_a_command_stream_out_of_reach_is_a_bus_abort() -> None:
    device, backend = npu(NpuOutcome())
    device.write(QBASE, 0x2000_0000)
    device.write(CMD, 1)
    assert device.read(STATUS) & NpuFault.BUS_ABORT
    assert backend.runs == 0
    assert "DTCM" in device.explanations[0]


def test_reset_forgets_and_no_npu_reads_zero() -> None:
    device, _ = npu(NpuOutcome())
    device.write(RESET, 1)
    assert device.read(QBASE) == 0
    assert device.read(CONFIG) == 0x1807
    absent, _ = npu(NpuOutcome(), macs=0)
    assert all(absent.read(offset) == 0 for offset in range(0, 0x400, 4))
    with pytest.raises(ParameterError, match="no Ethos-U55 of 48"):
        npu(NpuOutcome(), macs=48)


def test_memory_has_two_addresses_and_edges() -> None:
    memory = Memory()
    memory.write(0x2100_0000, b"both")
    assert memory.read(0x3100_0000, 4) == b"both"
    for address, size in ((0x2100_0000 + (2 << 20) - 2, 4), (0x4000_0000, 1), (0xFFFF_FFFF, 2)):
        with pytest.raises(BusError):
            memory.read(address, size)
    with pytest.raises(BusError, match="does not reach the ITCM"):
        NpuMemory(memory).view(0, 4)


def test_timing_adapters_keep_ports_apart_and_their_version() -> None:
    adapters = TimingAdapters()
    adapters.write(0x00, 1)
    adapters.write(0x228, 2)
    adapters.write(0x38, 3)
    assert (adapters.words()[0][0], adapters.words()[1][9], adapters.read(0x38)) == (1, 2, 0x1117)


def test_a_protection_controller_opens_when_every_block_is_secure() -> None:
    heard: list[bool] = []
    controller = ProtectionController(heard.append, non_secure=True)
    for index in range(controller.read(0x10) + 1):
        controller.write(0x18, index)
        controller.write(0x1C, 0)
    assert heard == [False, False, True]


def test_a_uart_sends_only_when_enabled() -> None:
    sent: list[int] = []
    uart = Uart(sent.append)
    uart.write(0, 65)
    uart.write(8, 1)
    uart.write(0, 66)
    assert sent == [66]


@given(st.binary(max_size=40), st.sampled_from((b"", b"END", b"aab")), st.booleans())
def test_shutdown_is_heard_exactly_when_it_was_sent(data: bytes, tag: bytes, on_eot: bool) -> None:
    out, heard = bytearray(), []
    wire = Wire(
        out.extend, lambda: heard.append(1), lambda: None, UartFaults(), on_eot=on_eot, tag=tag
    )
    for byte in data + tag:
        wire(byte)
    assert out == data + tag
    assert bool(heard) == (bool(tag) or (on_eot and 4 in data))


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_fault_of_the_wire_hits_its_byte_only(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(1, len(data)))

    def sent(faults: UartFaults) -> bytes:
        out = bytearray()
        wire = Wire(out.extend, lambda: None, lambda: None, faults, on_eot=False, tag=b"")
        for byte in data:
            wire(byte)
        return bytes(out)

    assert sent(UartFaults(lose=at)) == data[: at - 1] + data[at:]
    assert sent(UartFaults(truncate=at)) == data[: at - 1]
    flipped = sent(UartFaults(flip=at))
    assert [i for i in range(len(data)) if flipped[i] != data[i]] == [at - 1]


def test_semihosting_prints_and_ends(tmp_path: Path) -> None:
    memory, out = Memory(), bytearray()
    memory.write(0x2000_0000, b"hello\0" + b"\0\0" + struct.pack("<II", 0x20026, 42))
    calls = Semihosting(out.extend, tmp_path)
    assert calls.call(4, 0x2000_0000, memory) == 0
    assert calls.call(3, 0x2000_0000, memory) == 0
    assert out == b"helloh"
    assert calls.call(0x18, 0x20026, memory) == Exit(0)
    assert calls.call(0x18, 0x20023, memory) == Exit(1)
    assert calls.call(0x99, 0, memory) == -1
    # The code becomes the exit status only where the features file says so.
    assert calls.call(0x20, 0x2000_0008, memory) == Exit(0)
    (tmp_path / ":semihosting-features").write_bytes(b"SHFB\x01")
    assert calls.call(0x20, 0x2000_0008, memory) == Exit(42)
    with pytest.raises(MachineError, match="semihosting is off"):
        Semihosting(out.extend, tmp_path, enabled=False).call(4, 0, memory)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_elf_is_refused_or_read(data: st.DataObject) -> None:
    elf = bytearray(firmware_elf())
    for _ in range(data.draw(st.integers(1, 4))):
        elf[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    cut = bytes(elf[: data.draw(st.integers(0, len(elf)))])
    for damaged in (bytes(elf), cut):
        # Anything but a reading or a ModelError fails the test.
        with contextlib.suppress(ModelError):
            assert all(segment.data for segment in read_elf(damaged, "damaged.elf").segments)


def program(*halfwords: int) -> bytes:
    """An image for address 0: stack pointer, reset vector, HardFault vector = reset, code at 64."""
    vectors = struct.pack("<4I", 0x2000_1000, 65, 0, 65).ljust(64, b"\0")
    return vectors + struct.pack(f"<{len(halfwords)}H", *halfwords)


def bare_machine(code: bytes) -> Machine:
    machine = Machine(
        Settings(), Backend(NpuOutcome()), lambda byte: None, Semihosting(lambda b: None, Path())
    )
    machine.load_program(Program(65, (Segment(0, code),)))
    return machine


def test_an_endless_loop_ends_at_the_limit() -> None:
    machine = bare_machine(program(0xE7FE))  # b .
    assert machine.run(Limits(wall_seconds=0.2)).reason is StopReason.WALL_TIME
    machine = bare_machine(program(0xE7FE))
    assert machine.run(Limits(processor_seconds=0)).reason is StopReason.PROCESSOR_TIME


def test_sleeping_for_good_ends_at_the_limit() -> None:
    for limits, reason in (
        (Limits(wall_seconds=0.1), StopReason.WALL_TIME),
        (Limits(simulated_seconds=1e9), StopReason.SIMULATED_TIME),
        (Limits(cycles=1 << 60), StopReason.CYCLES),
    ):
        machine = bare_machine(program(0xBF30, 0xE7FD))  # wfi; b .-2
        assert machine.run(limits).reason is reason


def test_hints_are_told_from_instructions_that_do_not_exist() -> None:
    sev, wfe, yield_, udf, loop = 0xBF40, 0xBF20, 0xBF10, 0xDE00, 0xE7FE
    wide_wfe, skip = (0xF3AF, 0x8002), 0xE000
    runs: list[tuple[int, ...]] = [
        (sev, wfe, yield_, loop),
        (sev, *wide_wfe, yield_, yield_, loop),
    ]
    for code in runs:
        machine = bare_machine(program(*code))
        assert machine.run(Limits(wall_seconds=0.2)).reason is StopReason.WALL_TIME
    # In a loop the program counter stops twice behind the same WFE, first for the event.
    machine = bare_machine(program(sev, wfe, 0xE7FD))
    assert machine.run(Limits(cycles=1 << 40)).reason is StopReason.CYCLES
    # The hint in front of what does not exist was executed, or was jumped over.
    faults: list[tuple[int, ...]] = [
        (sev, wfe, udf),
        (yield_, udf),
        (skip, wfe, udf),
        (skip, yield_, udf),
    ]
    for code in faults:
        with pytest.raises(MachineError, match="locked up"):
            bare_machine(program(*code)).run(Limits(cycles=1 << 40, wall_seconds=5))


def test_a_wfe_with_nothing_to_wait_for_ends_at_the_limit() -> None:
    for masked in (0xB672, 0xBF00):  # cpsid i; nop
        machine = bare_machine(program(masked, 0xBF20, 0xE7FD))
        assert machine.run(Limits(simulated_seconds=1e9)).reason is StopReason.SIMULATED_TIME


def test_a_fault_in_the_fault_handler_locks_up() -> None:
    # ldr r0, [pc, #0]; ldr r0, [r0]; then the address of nothing.
    machine = bare_machine(program(0x4800, 0x6800, 0x0000, 0x4000))
    with pytest.raises(MachineError, match="locked up"):
        machine.run(Limits(wall_seconds=5))


def test_the_command_line_of_the_fvp(tmp_path: Path) -> None:
    config = tmp_path / "params"
    config.write_text(
        "# comment\nethosu.num_macs=64 # why\n\nmps3_board.uart0.shutdown_tag=A\n", encoding="utf-8"
    )
    options = parse_options(
        [
            *("-a", "cpu0=app.axf", "--data", "cpu0=a@b.bin@0x90000000", "--stat", "-q"),
            *("-f", str(config), "-C", 'mps3_board.uart0.shutdown_tag="EXITTHESIM"'),
            *("-C", "mps3_board.visualisation.disable-visualisation=1", "--timelimit", "10"),
            *("--simlimit", "0.5", "--cpulimit", "3", "--cyclelimit", "7"),
            *("--dump", "cpu0=out.bin@Memory:0x21000000,0x10"),
        ]
    )
    assert options.application == Path("app.axf")
    assert options.data == (DataFile(Path("a@b.bin"), 0x9000_0000),)
    assert options.dumps == (Dump(Path("out.bin"), 0x2100_0000, 16),)
    assert options.parameters["ethosu.num_macs"] == 64
    assert options.parameters["mps3_board.uart0.shutdown_tag"] == "EXITTHESIM"
    assert options.limits == Limits(10, 3, 0.5, 7)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-C", "ethosu.nmu_macs=64"], "unknown parameter 'ethosu.nmu_macs'"),
        (["-C", "ethosu.num_macs=100"], "32, 64, 128, 256"),
        (["-C", "ethosu.num_macs=many"], "not a number"),
        (["-C", "ethosu.num_macs"], "parameter=value"),
        (["-C", "cpu0.CFGITCMSZ=16"], "0..15"),
        (["-C", "mps3_board.uart0.shutdown_on_eot=2"], "neither 0 nor 1"),
        (["--data", "file"], "FILE@ADDRESS"),
        (["--data", "file@here"], "not a number"),
        (["--dump", "file@0x0"], "SIZE"),
        (["--time", "1"], "unrecognized"),
        (["--timelimit", "-1"], "invalid 'seconds' value"),
        (["--timelimit", "soon"], "invalid 'seconds' value"),
        (["-f", "/nonexistent"], "cannot read"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        parse_options(arguments)
