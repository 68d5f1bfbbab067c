"""The NPU's registers: how firmware starts a command stream and reads what it did.

Offsets and bits are those of Arm's core driver (`ethosu55_interface.h`), and so is what clears a
bit of STATUS. The backend executes the stream when the processor waits for it or reads STATUS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from targets.ethos_u55.accelerators import MAC_COUNTS, Accelerator
from targets.ethos_u55.command_stream import WORD_BYTES
from targets.ethos_u55.identification import CONFIG_WORDS, IDENTITY, PERIPHERAL_IDENTITY
from targets.ethos_u55.ports import AXI_LIMITS, REGIONS
from targets.virtual.backend import (
    ANY_FAULT,
    Channel,
    NpuBackend,
    NpuFault,
    NpuMemory,
    NpuOutcome,
    NpuRequest,
)
from targets.virtual.errors import BusError, ParameterError
from targets.virtual.pmu import CYCLE, NO_EVENT, NPU_ACTIVE, NPU_IDLE, Pmu

__all__ = ["Npu"]

_ID = 0x000
_STATUS = 0x004
_CMD = 0x008
_RESET = 0x00C
_QBASE = 0x010
_QREAD = 0x018
_QCONFIG = 0x01C
_QSIZE = 0x020
_PROT = 0x024
_CONFIG = 0x028
_REGIONCFG = 0x03C
_AXI_LIMIT = 0x040
_BASEP = 0x080
_RUNNING = 1 << 0
_IRQ_RAISED = 1 << 1
_END_REACHED = 1 << 5
_PMU_IRQ_RAISED = 1 << 6
_RUN = 1 << 0
_CLEAR_IRQ = 1 << 1
_KEEP_CLOCK_AND_POWER = 0xC

_READ_ONLY = {_ID, _STATUS, _QREAD, _PROT, _CONFIG, *PERIPHERAL_IDENTITY}
#: Writing these clears STATUS.cmd_end_reached.
_QUEUE = {_QBASE, _QBASE + 4, _QSIZE}
#: The longest stream that is executed; that of the largest network has a fraction of it.
_STREAM_BYTES_MAX = 16 << 20


class Npu:
    """An Ethos-U55 of `macs` MACs per cycle. `macs` 0 = no NPU: every register reads 0.

    `timing` gives the timing adapters' registers at the moment of a run.
    """

    def __init__(
        self,
        macs: int,
        backend: NpuBackend,
        memory: NpuMemory,
        timing: Callable[[], tuple[tuple[int, ...], tuple[int, ...]]],
    ) -> None:
        if macs and macs not in MAC_COUNTS:
            raise ParameterError(
                f"there is no Ethos-U55 of {macs} MACs/cc ({', '.join(map(str, MAC_COUNTS))})"
            )
        self._macs = macs
        self._backend = backend
        self._memory = memory
        self._timing = timing
        self._registers: dict[int, int] = {}
        self._pmu = Pmu()
        self._protection = 0
        self._requested = False
        #: Cycles of all runs so far.
        self.active_cycles = 0
        #: Explanations of the faults so far.
        self.explanations: list[str] = []
        #: Events that firmware selected and that the backend does not know.
        self.unmodelled: set[int] = set()
        #: Whether a run never ends (a fault to inject).
        self.hangs = False
        self._reset()

    @property
    def interrupt(self) -> bool:
        """The level of the interrupt line."""
        return bool(self._registers[_STATUS] & _IRQ_RAISED) or self._pmu.interrupt

    def read(self, offset: int) -> int:
        """The result of a load from the register at `offset`."""
        if not self._macs:
            return 0
        if offset in Pmu.offsets:
            return self._pmu.read(offset)
        if offset == _STATUS:
            self.advance()
            return self._registers[_STATUS] | (_PMU_IRQ_RAISED if self._pmu.interrupt else 0)
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A store to the register at `offset`."""
        if offset in Pmu.offsets:
            self._pmu.write(offset, value)
        elif offset == _CMD:
            self._command(value)
        elif offset == _RESET:
            self._protection = value & 3
            self._reset()
        elif offset not in _READ_ONLY:
            self._registers[offset] = value
            if offset in _QUEUE and not self._registers[_STATUS] & _RUNNING:
                self._registers[_STATUS] &= ~_END_REACHED

    def advance(self) -> None:
        """Execute what was started, if anything was: time has passed."""
        if not self._requested or self.hangs:
            return
        self._requested = False
        if self._registers[_STATUS] & ANY_FAULT:
            self._registers[_STATUS] = self._registers[_STATUS] & ~_RUNNING | _IRQ_RAISED
            self.explanations.append("started again after a fault, without a reset: nothing is run")
            return
        outcome = self._execute()
        if outcome.explanation:
            self.explanations.append(outcome.explanation)
        if outcome.endless:
            return
        self._count(outcome)
        self.active_cycles += outcome.cycles
        status = _IRQ_RAISED | int(outcome.faults)
        if not outcome.faults:
            status |= _END_REACHED
        if NpuFault.BUS_ABORT in outcome.faults:
            status |= outcome.fault_port << 11 | outcome.fault_channel << 12
        self._registers[_STATUS] = status
        size = self._registers.get(_QSIZE, 0)
        self._registers[_QREAD] = size if outcome.read_bytes is None else outcome.read_bytes

    def pass_time(self, cycles: int) -> None:
        """Let the processor sleep for `cycles`, during which the NPU changes no state."""
        level = NPU_ACTIVE if self._registers[_STATUS] & _RUNNING else NPU_IDLE
        self._pmu.count(cycles, {CYCLE: cycles, level: cycles})

    def _reset(self) -> None:
        self._requested = False
        self._pmu = Pmu()
        self._registers = {_STATUS: 0}
        if self._macs:
            self._registers |= {
                _ID: IDENTITY,
                _CMD: _KEEP_CLOCK_AND_POWER,
                _PROT: self._protection,
                _CONFIG: CONFIG_WORDS[Accelerator(self._macs)],
                **PERIPHERAL_IDENTITY,
            }

    def _command(self, value: int) -> None:
        self._registers[_CMD] = value & _KEEP_CLOCK_AND_POWER
        if value & _CLEAR_IRQ:
            self._registers[_STATUS] &= ~_IRQ_RAISED
            self._pmu.clear_interrupt()
        if value & _RUN and not self._registers[_STATUS] & _RUNNING:
            self._requested = True
            self._registers[_STATUS] = self._registers[_STATUS] & ~_END_REACHED | _RUNNING

    def _wide(self, offset: int) -> int:
        return self._registers.get(offset, 0) | self._registers.get(offset + 4, 0) << 32

    def _execute(self) -> NpuOutcome:
        request = self._request()
        if isinstance(request, NpuOutcome):
            return request
        try:
            return self._backend.run(request)
        except BusError as error:
            return NpuOutcome(faults=NpuFault.BUS_ABORT, explanation=str(error))

    def _request(self) -> NpuRequest | NpuOutcome:
        """What the registers ask for, or the fault of the command stream's fetch."""
        size = self._registers.get(_QSIZE, 0)
        if size > _STREAM_BYTES_MAX:
            return _unreadable(0, f"a command stream of more than {_STREAM_BYTES_MAX} bytes")
        if size % WORD_BYTES:
            return _unreadable(size - size % WORD_BYTES, f"QSIZE {size} ends inside a word")
        request = NpuRequest(
            commands=b"",
            bases=tuple(self._wide(_BASEP + 8 * i) for i in range(REGIONS)),
            memory=self._memory,
            macs=self._macs,
            qconfig=self._registers.get(_QCONFIG, 0),
            regioncfg=self._registers.get(_REGIONCFG, 0),
            axi_limits=tuple(self._registers.get(_AXI_LIMIT + 4 * i, 0) for i in range(AXI_LIMITS)),
            timing=self._timing(),
        )
        try:
            commands = self._memory.view(self._wide(_QBASE), size).tobytes()
        except BusError as error:
            return NpuOutcome(
                faults=NpuFault.BUS_ABORT,
                fault_port=request.ports.port(None),
                fault_channel=Channel.COMMAND,
                read_bytes=self._readable(size),
                explanation=str(error),
            )
        return replace(request, commands=commands)

    def _readable(self, size: int) -> int:
        """How many of `size` bytes at QBASE can be fetched, in whole words."""
        try:
            block, offset = self._memory.locate(self._wide(_QBASE))
        except BusError:
            return 0
        return min(size, block.size - offset) // WORD_BYTES * WORD_BYTES

    def _count(self, outcome: NpuOutcome) -> None:
        """Add a run to the counters, for the events that were selected before it."""
        cycles = outcome.cycles
        events = {CYCLE: cycles, NPU_ACTIVE: cycles, **outcome.counters, NPU_IDLE: 0}
        if not outcome.faults:
            self.unmodelled |= self._pmu.selected - outcome.counters.keys() - {NO_EVENT}
        self._pmu.count(cycles, events)


def _unreadable(at: int, what: str) -> NpuOutcome:
    """A stream whose bytes from `at` on cannot be commands, whatever they are."""
    return NpuOutcome(faults=NpuFault.COMMAND_PARSE, read_bytes=at, explanation=what)
