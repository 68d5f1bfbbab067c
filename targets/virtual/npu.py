"""The NPU's registers: how firmware starts a command stream and reads what it did.

Offsets and bits are those of Arm's core driver (`ethosu55_interface.h`). The backend executes the
stream when the processor waits for it or reads STATUS.
"""

from __future__ import annotations

from collections.abc import Callable

from targets.ethos_u55.accelerators import MAC_COUNTS, Accelerator
from targets.ethos_u55.identification import CONFIG_WORDS, IDENTITY
from targets.ethos_u55.pmu_events import CYCLE_COUNTER_BITS, EVENT_COUNTER_BITS, EVENT_COUNTERS
from targets.ethos_u55.ports import AXI_LIMITS, REGIONS, port_of_limit
from targets.virtual.backend import NpuBackend, NpuFault, NpuMemory, NpuOutcome, NpuRequest
from targets.virtual.errors import BusError, ParameterError

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
_PMCR = 0x180
_PMCNTENSET = 0x184
_PMCNTENCLR = 0x188
_PMOVSSET = 0x18C
_PMOVSCLR = 0x190
_PMINTSET = 0x194
_PMINTCLR = 0x198
_PMCCNTR_LO = 0x1A0
_PMCCNTR_HI = 0x1A4
_PMEVCNTR = 0x300
_PMEVTYPER = 0x380

_RUNNING = 1 << 0
_IRQ_RAISED = 1 << 1
_END_REACHED = 1 << 5
_RUN = 1 << 0
_CLEAR_IRQ = 1 << 1

_PMU_ENABLE = 1 << 0
_RESET_EVENTS = 1 << 1
_RESET_CYCLES = 1 << 2
_CYCLE_COUNTER = 1 << 31
_PMU_BITS = _CYCLE_COUNTER | (1 << EVENT_COUNTERS) - 1
#: The number of event counters, which PMCR holds in bits 15:11.
_PMU_SIZE = EVENT_COUNTERS << 11

#: Registers that are set and cleared through two addresses, by the address that sets them.
_SET_CLEAR = {
    _PMCNTENSET: _PMCNTENSET,
    _PMCNTENCLR: _PMCNTENSET,
    _PMOVSSET: _PMOVSSET,
    _PMOVSCLR: _PMOVSSET,
    _PMINTSET: _PMINTSET,
    _PMINTCLR: _PMINTSET,
}
_READ_ONLY = {_ID, _STATUS, _QREAD, _PROT, _CONFIG}


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
        return bool(self._registers[_STATUS] & _IRQ_RAISED)

    def read(self, offset: int) -> int:
        """The result of a load from the register at `offset`."""
        if not self._macs:
            return 0
        if offset == _STATUS:
            self.advance()
        if offset == _PMCR:
            return self._registers.get(_PMCR, 0) | _PMU_SIZE
        return self._registers.get(_SET_CLEAR.get(offset, offset), 0)

    def write(self, offset: int, value: int) -> None:
        """A store to the register at `offset`."""
        if offset == _CMD:
            self._command(value)
        elif offset == _RESET:
            self._protection = value & 3
            self._reset()
        elif offset == _PMCR:
            self._control_pmu(value)
        elif offset in _SET_CLEAR:
            register = _SET_CLEAR[offset]
            before = self._registers.get(register, 0)
            now = before | value if offset == register else before & ~value
            self._registers[register] = now & _PMU_BITS
        elif offset not in _READ_ONLY:
            self._registers[offset] = value

    def advance(self) -> None:
        """Execute what was started, if anything was: time has passed."""
        if not self._requested or self.hangs:
            return
        self._requested = False
        outcome = self._execute()
        self._count(outcome)
        if outcome.explanation:
            self.explanations.append(outcome.explanation)
        self.active_cycles += outcome.cycles
        status = _IRQ_RAISED | int(outcome.faults)
        if not outcome.faults:
            status |= _END_REACHED
        if NpuFault.BUS_ABORT in outcome.faults:
            status |= outcome.fault_port << 11 | outcome.fault_channel << 12
        self._registers[_STATUS] = status
        size = self._registers.get(_QSIZE, 0)
        self._registers[_QREAD] = size if outcome.read_bytes is None else outcome.read_bytes

    def _reset(self) -> None:
        self._requested = False
        self._registers = {_STATUS: 0}
        if self._macs:
            self._registers |= {
                _ID: IDENTITY,
                _CMD: 0xC,
                _PROT: self._protection,
                _CONFIG: CONFIG_WORDS[Accelerator(self._macs)],
            }

    def _command(self, value: int) -> None:
        self._registers[_CMD] = value & 0xC
        if value & _CLEAR_IRQ:
            self._registers[_STATUS] &= ~_IRQ_RAISED
        if value & _RUN:
            self._requested = True
            self._registers[_STATUS] = _RUNNING

    def _wide(self, offset: int) -> int:
        return self._registers.get(offset, 0) | self._registers.get(offset + 4, 0) << 32

    def _execute(self) -> NpuOutcome:
        qconfig = self._registers.get(_QCONFIG, 0)
        size = self._registers.get(_QSIZE, 0)
        try:
            commands = self._memory.view(self._wide(_QBASE), size).tobytes()
        except BusError as error:
            # The command stream cannot be fetched: channel 0 of the port that QCONFIG selects.
            return NpuOutcome(
                faults=NpuFault.BUS_ABORT,
                fault_port=port_of_limit(qconfig),
                read_bytes=0,
                explanation=str(error),
            )
        request = NpuRequest(
            commands=commands,
            bases=tuple(self._wide(_BASEP + 8 * i) for i in range(REGIONS)),
            memory=self._memory,
            macs=self._macs,
            qconfig=qconfig,
            regioncfg=self._registers.get(_REGIONCFG, 0),
            axi_limits=tuple(self._registers.get(_AXI_LIMIT + 4 * i, 0) for i in range(AXI_LIMITS)),
            timing=self._timing(),
        )
        try:
            return self._backend.run(request)
        except BusError as error:
            return NpuOutcome(faults=NpuFault.BUS_ABORT, explanation=str(error))

    def _control_pmu(self, value: int) -> None:
        if value & _RESET_EVENTS:
            for i in range(EVENT_COUNTERS):
                self._registers[_PMEVCNTR + 4 * i] = 0
        if value & _RESET_CYCLES:
            self._registers[_PMCCNTR_LO] = self._registers[_PMCCNTR_HI] = 0
        self._registers[_PMCR] = value & ~(_RESET_EVENTS | _RESET_CYCLES)

    def _count(self, outcome: NpuOutcome) -> None:
        """Add a run to the enabled counters, for the events that were selected before it."""
        if not self._registers.get(_PMCR, 0) & _PMU_ENABLE:
            return
        enabled = self._registers.get(_PMCNTENSET, 0)
        overflow = 0
        for i in range(EVENT_COUNTERS):
            if enabled >> i & 1:
                event = self._registers.get(_PMEVTYPER + 4 * i, 0)
                if event not in outcome.counters and not outcome.faults:
                    self.unmodelled.add(event)
                total = self._registers.get(_PMEVCNTR + 4 * i, 0) + outcome.counters.get(event, 0)
                overflow |= (total >> EVENT_COUNTER_BITS > 0) << i
                self._registers[_PMEVCNTR + 4 * i] = total & 0xFFFF_FFFF
        if enabled & _CYCLE_COUNTER:
            total = self._wide(_PMCCNTR_LO) + outcome.cycles
            overflow |= _CYCLE_COUNTER if total >> CYCLE_COUNTER_BITS else 0
            self._registers[_PMCCNTR_LO] = total & 0xFFFF_FFFF
            self._registers[_PMCCNTR_HI] = total >> 32 & 0xFFFF
        self._registers[_PMOVSSET] = self._registers.get(_PMOVSSET, 0) | overflow
