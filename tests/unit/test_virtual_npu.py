"""The virtual NPU's registers: what a guest may write, what a fault leaves, what the PMU counts."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from targets.artefact.errors import StreamError, WeightStreamError, stream_of
from targets.artefact.stream.operations import Conv
from targets.artefact.stream.registers import Op, Reg
from targets.virtual.accesses import accesses
from targets.virtual.backend import ANY_FAULT, Channel, NpuFault, NpuMemory, NpuOutcome, NpuRequest
from targets.virtual.memory import Memory
from targets.virtual.npu import Npu
from targets.virtual.peripherals import TimingAdapters
from targets.virtual.pmu import Pmu
from targets.virtual.simulator_backend import SimulatorBackend
from tests.support.streams.block_operations import conv, feature_map
from tests.support.streams.commands import assemble, known_word

STATUS, CMD, RESET, QBASE, QREAD, QCONFIG, QSIZE = 0x04, 0x08, 0x0C, 0x10, 0x18, 0x1C, 0x20
REGIONCFG, BASEP = 0x3C, 0x80
PMCR, CNTENSET, CNTENCLR, OVSSET, OVSCLR = 0x180, 0x184, 0x188, 0x18C, 0x190
INTSET, INTCLR, CYCLES_LOW, CYCLES_HIGH, CYCLES_CONFIG = 0x194, 0x198, 0x1A0, 0x1A4, 0x1A8
COUNTER, EVENT = 0x300, 0x380
RUN, CLEAR = 1, 2
#: Of a timing adapter.
PULSE_ON, PULSE_OFF = 0x14, 0x18
RUNNING, IRQ, END_REACHED, PMU_IRQ = 1, 2, 1 << 5, 1 << 6
DDR, ISRAM, DTCM = 0x6000_0000, 0x2100_0000, 0x2000_0000
WORD = 0xFFFF_FFFF

#: Copies 32 bytes of region 0 to region 1.
COPY = assemble(
    (Reg.DMA0_SRC_REGION, 0),
    (Reg.DMA0_DST_REGION, 1),
    (Reg.DMA0_SRC, 0, 0),
    (Reg.DMA0_DST, 0, 64),
    (Reg.DMA0_LEN, 0, 32),
    (Op.DMA_START, 0),
    (Op.STOP, 0xFFFF),
)
COPY_WORD = 8


class Machine:
    """An NPU with its memory and timing adapters; the simulator executes `COPY`."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.adapters = TimingAdapters()
        self.npu = Npu(128, SimulatorBackend(), NpuMemory(self.memory), self.adapters.words)
        self.memory.write(DDR, COPY.astype("<u4").tobytes())
        self.memory.write(DDR + 4096, bytes(range(32)))
        self.point()

    def point(self) -> None:
        for offset, value in (
            (QBASE, DDR),
            (QSIZE, 4 * len(COPY)),
            (BASEP, DDR + 4096),
            (BASEP + 8, ISRAM),
        ):
            self.npu.write(offset, value)

    def run(self) -> int:
        self.npu.write(CMD, RUN)
        return self.npu.read(STATUS)


words = st.one_of(
    st.integers(0, WORD),
    st.integers(0, 8),
    st.sampled_from((DDR, DDR + 8, ISRAM, DTCM, 0x8000_0000, WORD, WORD - 3, 1 << 31, 16 << 20)),
)
#: Mostly registers that mean something; also bytes in their middle, and all others.
offsets = st.one_of(
    st.sampled_from(
        (QBASE, QBASE + 4, QCONFIG, QSIZE, REGIONCFG, CMD, RESET, STATUS, QREAD, PMCR, CNTENSET)
    ),
    st.sampled_from(sorted(Pmu.offsets)),
    st.integers(BASEP // 4, BASEP // 4 + 15).map(lambda word: 4 * word),
    st.integers(0, 0xFFF),
)


def let_addresses_pass(machine: Machine) -> None:
    """An adapter whose pulse has no length lets none through."""
    for port in (0, 0x200):
        machine.adapters.write(port + PULSE_OFF, 0)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(offsets, words), max_size=12),
    st.lists(st.tuples(st.integers(0, 0xFF).map(lambda word: 4 * word), words), max_size=6),
    st.lists(st.tuples(st.integers(0, len(COPY) - 1), st.one_of(known_word, words)), max_size=2),
)
@example([(QSIZE, 18)], [], [])
@example([], [(PULSE_OFF, 5)], [])
@example([], [(0x200 + PULSE_OFF, 5)], [])
@example([(QCONFIG, WORD)], [], [])
@example([(QSIZE, 18)], [(PULSE_OFF, 1)], [])
@example([(16, 0)], [(24, 1)], [])
@example([(QCONFIG, WORD), (QBASE, DTCM)], [], [])
@example([(QSIZE, 0)], [], [])
@example([(QSIZE, 256 << 20)], [], [])
@example([(BASEP, WORD), (BASEP + 4, WORD)], [], [])
def test_whatever_a_guest_writes_the_npu_answers_with_a_status(
    writes: list[tuple[int, int]],
    adapter_writes: list[tuple[int, int]],
    changed_words: list[tuple[int, int]],
) -> None:
    machine = Machine()
    npu = machine.npu
    for at, word in changed_words:
        machine.memory.write(DDR + 4 * at, word.to_bytes(4, "little"))
    for offset, value in adapter_writes:
        machine.adapters.write(offset, value)
    for offset, value in writes:
        npu.write(offset, value)
        npu.pass_time(1000)
    status = machine.run()
    if status & RUNNING:
        # The adapter of a port that is used lets no address through.
        assert any(port[5] & 0xFFFF == 0 < port[6] & 0xFFFF for port in machine.adapters.words())
        let_addresses_pass(machine)
        npu.write(RESET, 1)
        machine.point()
        status = machine.run()
    assert status & IRQ
    assert not status & RUNNING
    assert bool(status & ANY_FAULT) != bool(status & END_REACHED)
    assert npu.interrupt
    assert all(0 <= npu.read(offset) <= WORD for offset in range(0, 0x1000, 4))
    # A reset mends everything but the stream and the adapters.
    npu.write(RESET, 1)
    assert npu.read(STATUS) == 0
    let_addresses_pass(machine)
    machine.memory.write(DDR, COPY.astype("<u4").tobytes())
    machine.point()
    assert machine.run() == IRQ | END_REACHED
    assert machine.memory.read(ISRAM + 64, 32) == machine.memory.read(DDR + 4096, 32)


@pytest.mark.parametrize(
    ("register", "value", "status", "qread"),
    [
        (QSIZE, 4 * len(COPY) - 2, NpuFault.COMMAND_PARSE, 4 * len(COPY) - 4),
        (QSIZE, 4 * len(COPY) - 4, NpuFault.COMMAND_PARSE, 4 * len(COPY) - 4),
        (QBASE, DTCM, NpuFault.BUS_ABORT, 0),
        # The DDR's first bank ends after two words.
        (QBASE, DDR + (256 << 20) - 8, NpuFault.BUS_ABORT, 8),
        (BASEP, DTCM, NpuFault.BUS_ABORT | Channel.DMA_READ << 12 | 1 << 11, 4 * COPY_WORD),
        (BASEP + 8, DTCM, NpuFault.BUS_ABORT | Channel.DMA_WRITE << 12, 4 * COPY_WORD),
        # The last bytes of the ISRAM: the copy does not fit behind them.
        (BASEP + 8, ISRAM + (2 << 20) - 64, NpuFault.BUS_ABORT | 9 << 12, 4 * COPY_WORD),
    ],
)
def test_only_a_reset_clears_a_fault(register: int, value: int, status: int, qread: int) -> None:
    machine = Machine()
    npu = machine.npu
    npu.write(REGIONCFG, 0b0011)
    npu.write(register, value)
    assert machine.run() == status | IRQ
    npu.write(CMD, CLEAR)
    machine.point()
    assert npu.read(STATUS) == status
    assert machine.run() == status | IRQ
    assert npu.read(QREAD) == qread
    assert machine.memory.read(ISRAM + 64, 32) == bytes(32)
    npu.write(RESET, 1)
    assert (npu.read(STATUS), npu.read(QREAD)) == (0, 0)
    machine.point()
    assert machine.run() == IRQ | END_REACHED


@pytest.mark.parametrize("port", [0, 1])
@pytest.mark.parametrize(("regioncfg", "qconfig"), [(0, 0), (0b1111, 3), (0b0011, 0)])
def test_a_port_that_lets_no_address_through_is_waited_for(
    port: int, regioncfg: int, qconfig: int
) -> None:
    machine = Machine()
    npu = machine.npu
    npu.write(REGIONCFG, regioncfg)
    npu.write(QCONFIG, qconfig)
    machine.adapters.write(0x200 * port + PULSE_OFF, 5)
    used = {qconfig >> 1, regioncfg >> 1 & 1, regioncfg >> 3 & 1}
    assert machine.run() == (RUNNING if port in used else IRQ | END_REACHED)
    assert npu.read(STATUS) == (RUNNING if port in used else IRQ | END_REACHED)
    npu.write(RESET, 1)
    machine.point()
    machine.adapters.write(0x200 * port + PULSE_ON, 1)
    assert machine.run() == IRQ | END_REACHED


def test_the_fetch_of_the_stream_fails_on_its_port() -> None:
    for qconfig in range(8):
        machine = Machine()
        machine.npu.write(QCONFIG, qconfig)
        machine.npu.write(QBASE, DTCM)
        port = qconfig >> 1 & 1
        assert machine.run() == NpuFault.BUS_ABORT | port << 11 | Channel.COMMAND << 12 | IRQ


def test_an_end_is_forgotten_when_the_next_stream_is_named() -> None:
    for register in (QBASE, QSIZE):
        machine = Machine()
        assert machine.run() == IRQ | END_REACHED
        machine.npu.write(CMD, CLEAR)
        assert machine.npu.read(STATUS) == END_REACHED
        machine.npu.write(register, 4)
        assert machine.npu.read(STATUS) == 0


def test_an_interrupt_that_was_not_cleared_outlives_the_next_start() -> None:
    machine = Machine()
    machine.run()
    machine.npu.write(CMD, RUN)
    assert machine.npu.interrupt


def test_accesses_are_in_the_order_and_on_the_channels_of_the_hardware() -> None:
    operation = conv(feature_map(4, 4, 16), feature_map(4, 4, 16, base=4096, region=2), (4, 4, 16))
    assert isinstance(operation, Conv)
    found = list(accesses(operation))
    assert [access.channel for access in found] == [
        Channel.IFM, Channel.WEIGHTS, Channel.SCALES, Channel.OFM,
    ]  # fmt: skip
    assert [(access.region, access.first, access.end) for access in found] == [
        (1, 0, 256), (0, 0x100, 0x100 + 160), (0, 0x40, 0x40 + 48), (2, 4096, 4096 + 256),
    ]  # fmt: skip
    tiled = dataclasses.replace(operation.ifm, tile_height0=1, bases=(0, 0, 8192, 0))
    pieces = [
        a for a in accesses(dataclasses.replace(operation, ifm=tiled)) if a.channel is Channel.IFM
    ]
    assert [access.first for access in pieces] == [0, 8192]


def test_a_weight_error_stays_one_when_it_names_its_owner() -> None:
    with (
        pytest.raises(WeightStreamError, match=r"model\.tflite: word 3"),
        stream_of("model.tflite"),
    ):
        raise WeightStreamError("cut off", word=3, operation="NPU_OP_CONV")
    with pytest.raises(StreamError) as caught, stream_of("model.tflite"):
        raise StreamError("illegal", word=3, operation="NPU_OP_CONV")
    assert not isinstance(caught.value, WeightStreamError)


@dataclasses.dataclass
class Counts:
    """A backend that counts what it is told to."""

    outcome: NpuOutcome

    def run(self, request: NpuRequest) -> NpuOutcome:
        return self.outcome


def counting(**counts: int) -> Npu:
    outcome = NpuOutcome(cycles=100, counters={int(k[1:]): v for k, v in counts.items()})
    memory = NpuMemory(Memory())
    npu = Npu(128, Counts(outcome), memory, lambda: ((0,) * 10, (0,) * 10))
    npu.write(QBASE, DDR)
    npu.write(QSIZE, 4)
    return npu


def run(npu: Npu) -> int:
    npu.write(CMD, RUN)
    return npu.read(STATUS)


@pytest.mark.parametrize("counter", range(4))
def test_each_counter_raises_the_interrupt_that_is_enabled_for_it(counter: int) -> None:
    for enabled in (1 << counter, WORD ^ 1 << counter, 0):
        npu = counting(_48=3)
        npu.write(EVENT + 4 * counter, 48)
        npu.write(COUNTER + 4 * counter, WORD - 2)
        npu.write(CNTENSET, WORD)
        npu.write(INTSET, enabled)
        npu.write(PMCR, 1)
        raised = bool(enabled >> counter & 1)
        assert run(npu) == IRQ | END_REACHED | PMU_IRQ * raised
        assert (npu.read(COUNTER + 4 * counter), npu.read(OVSSET)) == (0, 1 << counter)
        npu.write(CMD, CLEAR)
        assert not npu.interrupt
        # The overflow bit stays; without a new overflow there is no new interrupt.
        assert run(npu) == IRQ | END_REACHED
        assert npu.read(OVSCLR) == 1 << counter
        npu.write(OVSCLR, 1 << counter)
        assert npu.read(OVSSET) == 0


def test_the_cycle_counter_overflows_at_48_bits_while_the_npu_idles() -> None:
    npu = counting()
    npu.write(CYCLES_LOW, WORD)
    npu.write(CYCLES_HIGH, WORD)
    assert npu.read(CYCLES_HIGH) == 0xFFFF
    npu.write(CNTENSET, 1 << 31)
    npu.write(INTSET, 1 << 31)
    npu.pass_time(1)
    assert not npu.interrupt
    npu.write(PMCR, 1)
    npu.pass_time(3)
    assert npu.interrupt
    assert npu.read(STATUS) == PMU_IRQ
    assert (npu.read(CYCLES_LOW), npu.read(CYCLES_HIGH), npu.read(OVSSET)) == (2, 0, 1 << 31)


def test_an_interrupt_enabled_after_the_overflow_is_raised_then() -> None:
    npu = counting()
    npu.write(OVSSET, 0b0101)
    assert not npu.interrupt
    npu.write(INTSET, 0b0100)
    assert npu.read(STATUS) == PMU_IRQ
    npu.write(CMD, CLEAR)
    npu.write(INTCLR, 0b0100)
    assert npu.read(STATUS) == npu.read(INTSET) == 0


def test_a_fault_counts_nothing_and_reports_no_unknown_event() -> None:
    npu = counting()
    npu.write(EVENT, 48)
    npu.write(CNTENSET, 1)
    npu.write(PMCR, 1)
    npu.write(QSIZE, 3)
    assert run(npu) & NpuFault.COMMAND_PARSE
    assert not npu.unmodelled
    npu.write(RESET, 1)
    assert npu.read(PMCR) == 4 << 11


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.sampled_from((0, 17, 32, 35, 130, 1023)), st.sampled_from((0, 17, 32, 35, 130))),
    st.lists(st.tuples(st.booleans(), st.integers(1, 50)), max_size=8),
)
def test_the_cycle_counter_agrees_with_one_that_looks_at_each_cycle(
    config: tuple[int, int], periods: list[tuple[bool, int]]
) -> None:
    """Events of level 17, 32 and 35 against a counter made cycle by cycle; 130 never occurs."""
    start, stop = config
    pmu = Pmu()
    pmu.write(CNTENSET, 1 << 31)
    pmu.write(PMCR, 1)
    pmu.write(CYCLES_CONFIG, start | stop << 16)
    expected, counting_now = 0, start == 0
    for active, cycles in periods:
        level = 35 if active else 32
        pmu.count(cycles, {17: cycles, level: cycles})
        for _ in range(cycles):
            now = (17, level)
            counting_now = (counting_now or start in now) and stop not in now
            expected += counting_now
    assert pmu.read(CYCLES_LOW) == expected
