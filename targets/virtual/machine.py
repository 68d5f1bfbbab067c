"""The Corstone-300: processor, memories and devices put together, and run.

Time is simulated only where something waits for it: a run of the NPU takes its cycles, and a sleep
until SysTick takes SysTick's period. Instructions take no time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from targets.firmware.elf import Program
from targets.jobs.memory import SECURE_ALIAS
from targets.virtual.backend import NpuBackend, NpuMemory
from targets.virtual.clock import CLOCK_HZ, Clock, Limits, Stop, StopReason
from targets.virtual.memory import Block, Memory
from targets.virtual.npu import Npu
from targets.virtual.peripherals import (
    ADAPTER_VERSION,
    Device,
    ProtectionController,
    Scratch,
    TimingAdapters,
    Uart,
)
from targets.virtual.processor import HARD_FAULT, SYSTICK, Event, Processor
from targets.virtual.semihosting import Exit, Semihosting
from targets.virtual.system_control import SystemControl

__all__ = ["CLOCK_HZ", "Limits", "Machine", "Settings", "Stop", "StopReason"]

#: The NPU's interrupt.
_NPU_IRQ = 56
_EXTERNAL = 16
_PAGE = 0x1000

#: Devices at both aliases, by non-secure address.
_SCC, _FPGAIO, _UART0 = 0x4930_0000, 0x4930_2000, 0x4930_3000
_NPU, _TIMING_ADAPTERS = 0x4810_2000, 0x4810_3000
_SYSTEM_CONTROL = 0xE000_E000
#: Memory protection controllers, in the secure world only: BRAM, QSPI, DDR, ISRAM0, ISRAM1.
_PROTECTED = {
    0x5700_0000: "BRAM",
    0x5700_1000: "QSPI",
    0x5700_2000: "DDR0",
    0x5008_3000: "ISRAM",
    0x5008_4000: "ISRAM",
}


@dataclass(frozen=True)
class Settings:
    """The properties of the machine; all except `macs` exist so that tests can make them wrong."""

    #: 0 = no NPU.
    macs: int = 128
    npu_hangs: bool = False
    adapter_version: int = ADAPTER_VERSION
    #: After reset the ISRAM belongs to the non-secure world.
    isram_non_secure: bool = False


class Machine:
    """One Corstone-300, from reset to stop. `uart` gets what UART0 sends, byte by byte.

    `stop()` may be called from `uart`; the machine stops when the processor waits next.
    """

    def __init__(
        self,
        settings: Settings,
        backend: NpuBackend,
        uart: Callable[[int], None],
        semihosting: Semihosting,
    ) -> None:
        self.memory = Memory()
        self._semihosting = semihosting
        self._processor = Processor()
        self._system = SystemControl()
        self._stopping = False
        self._idle_cycles = 0
        adapters = TimingAdapters(settings.adapter_version)
        self._npu = Npu(settings.macs, backend, NpuMemory(self.memory), adapters.words)
        self._npu.hangs = settings.npu_hangs
        hidden = self._map_memories(settings)
        self._map_devices(Uart(uart), adapters, hidden)

    @property
    def cycles(self) -> int:
        """Simulated cycles so far."""
        return self._npu.active_cycles + self._idle_cycles

    @property
    def npu_explanations(self) -> tuple[str, ...]:
        """The explanations of the NPU's faults."""
        return tuple(self._npu.explanations)

    @property
    def unmodelled_events(self) -> tuple[int, ...]:
        """PMU events that were counted although they are not modelled."""
        return tuple(sorted(self._npu.unmodelled))

    def load(self, address: int, data: bytes) -> None:
        """Put `data` into memory. Raises `BusError`."""
        self.memory.write(address, data)

    def load_code(self, address: int, data: bytes) -> None:
        """Put what may be executed into memory. Raises `BusError`."""
        self.load(address, data)
        block, offset = self.memory.find(address, len(data))
        for alias in block.addresses:
            self._processor.watch_hints(alias + offset, data)

    def load_program(self, program: Program) -> None:
        """Put an ELF's segments into memory and start the processor at its entry.

        The stack pointer is the first word of the vector table, at the start of the ITCM.
        """
        for segment in program.segments:
            self.load_code(segment.address, segment.data)
        stack = int.from_bytes(self.memory.read(0, 4), "little")
        self._processor.start(program.entry, stack)

    def stop(self) -> None:
        """Stop at the next opportunity."""
        self._stopping = True

    def run(self, limits: Limits) -> Stop:
        """Run until stopped. Raises `MachineError` when the processor locks up."""
        clock = Clock(limits)
        while True:
            event = self._processor.run(clock.remaining)
            stop = self._breakpoint() if event is Event.BREAKPOINT else None
            if event is Event.FAULT:
                self._fault()
            elif event in (Event.WAITING, Event.WAITING_FOR_EVENT):
                stop = self._sleep(clock, event)
            elif event in (Event.UNMASKED, Event.RETURNED):
                self._take_interrupt()
            stop = stop or clock.exceeded(self.cycles)
            if stop is not None:
                return stop

    def _sleep(self, clock: Clock, event: Event) -> Stop | None:
        """The processor sleeps: advance the time until something wakes it.

        WFI wakes for a pending interrupt although PRIMASK is set; WFE does so only if SEVONPEND is
        set, too. A handler does not sleep.
        """
        self._npu.advance()
        if self._stopping:
            return Stop(StopReason.REQUESTED)
        if self._processor.handling:
            return None
        if self._pending is None and not self._await_systick():
            return clock.sleep_forever()
        if not self._processor.masked:
            self._take_interrupt()
        elif event is Event.WAITING or self._system.sends_event_on_pending:
            self._processor.stop_when_unmasked()
        else:
            return clock.sleep_forever()
        return None

    @property
    def _pending(self) -> int | None:
        """The exception to be taken next. All have one priority, so the lowest number wins."""
        if self._system.systick_pending:
            return SYSTICK
        if self._npu.interrupt and self._system.enabled(_NPU_IRQ):
            return _EXTERNAL + _NPU_IRQ
        return None

    def _await_systick(self) -> bool:
        """Let time pass until SysTick fires. Returns False if it never does."""
        period = self._system.systick_cycles
        if period is None:
            return False
        self._idle_cycles += period
        self._npu.pass_time(period)
        self._system.systick_pending = True
        return True

    def _take_interrupt(self) -> None:
        """Enter the handler of what is pending, unless it is masked or has to wait."""
        pending = self._pending
        if pending is None or self._processor.masked or self._processor.handling:
            return
        if pending == SYSTICK:
            self._system.systick_pending = False
        self._processor.enter(pending, self._system.vectors)

    def _fault(self) -> None:
        self._system.report_bus_error(self._processor.fault_address)
        self._processor.enter(HARD_FAULT, self._system.vectors)

    def _breakpoint(self) -> Stop | None:
        operation, parameter = self._processor.argument(0), self._processor.argument(1)
        result = self._semihosting.call(operation, parameter, self.memory)
        if isinstance(result, Exit):
            return Stop(StopReason.EXIT, result.status)
        self._processor.return_from_breakpoint(result)
        return None

    def _map_memories(self, settings: Settings) -> dict[str, _Hidden]:
        hidden = {}
        for block in self.memory.blocks:
            for address in block.addresses:
                secure = address != block.address
                if secure and block.name == "ISRAM" and settings.isram_non_secure:
                    hidden[block.name] = _Hidden(block)
                    self._processor.map_device(address, block.size, hidden[block.name])
                else:
                    self._processor.map_memory(address, block)
        return hidden

    def _map_devices(
        self, uart: Uart, adapters: TimingAdapters, hidden: dict[str, _Hidden]
    ) -> None:
        devices: dict[int, Device] = {
            _SCC: Scratch(),
            _FPGAIO: Scratch(),
            _UART0: uart,
            _NPU: self._npu,
            _TIMING_ADAPTERS: adapters,
        }
        for address, device in devices.items():
            for alias in (address, address + SECURE_ALIAS):
                self._processor.map_device(alias, _PAGE, device)
        self._processor.map_device(_SYSTEM_CONTROL, _PAGE, self._system)
        for address, name in _PROTECTED.items():
            behind = hidden.get(name)
            controller = ProtectionController(
                (lambda secure: None) if behind is None else behind.show,
                non_secure=behind is not None,
            )
            self._processor.map_device(address, _PAGE, controller)


class _Hidden:
    """A secure alias of a memory that may be non-secure; then it reads 0 and stores nothing.

    It supports only stores of whole words and is slow, because it is only for the test of this
    case.
    """

    def __init__(self, block: Block) -> None:
        self._words = block.contents.view("<u4")
        self._shown = False

    def show(self, secure: bool) -> None:
        self._shown = secure

    def read(self, offset: int) -> int:
        return int(self._words[offset // 4]) >> 8 * (offset % 4) if self._shown else 0

    def write(self, offset: int, value: int) -> None:
        if self._shown:
            self._words[offset // 4] = value
