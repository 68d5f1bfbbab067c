"""The processor: Unicorn's Cortex-M33, with the exceptions that Unicorn does not handle.

Unicorn executes instructions, reports breakpoints, exception returns and failed accesses, and
returns on WFI. Stacking, vectors and unstacking are done here, and so is the event register of WFE
and SEV (Armv8-M reference manual, chapter B3). An interrupt is taken when the processor waits for
one, clears PRIMASK or returns from a handler; firmware that spins on a flag instead would never see
it. Instructions take no simulated time.
"""

from __future__ import annotations

import re
import struct
from enum import Enum

from unicorn import (
    UC_ARCH_ARM,
    UC_ERR_INSN_INVALID,
    UC_HOOK_BLOCK,
    UC_HOOK_CODE,
    UC_HOOK_INTR,
    UC_HOOK_MEM_INVALID,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_ALL,
    UC_QUERY_TIMEOUT,
    Uc,
    UcError,
)
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_MSP,
    UC_ARM_REG_PC,
    UC_ARM_REG_PRIMASK,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_R12,
    UC_ARM_REG_SP,
    UC_ARM_REG_XPSR,
    UC_CPU_ARM_CORTEX_M33,
)

from targets.virtual.errors import MachineError
from targets.virtual.memory import Block
from targets.virtual.peripherals import Device

__all__ = ["HARD_FAULT", "SYSTICK", "Event", "Processor"]

HARD_FAULT = 3
SYSTICK = 15

_STACKED = (
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_R12,
    UC_ARM_REG_LR,
)
_FRAME = struct.Struct("<8I")
#: Return to thread mode, main stack, secure state.
_EXC_RETURN = 0xFFFF_FFF9
_NEVER = 0xFFFF_FFFF
_FLAGS = 0xF800_0000
_THUMB = 1 << 24
#: Set in the stacked xPSR if the frame was moved down to a multiple of 8.
_REALIGNED = 1 << 9
#: The numbers with which Unicorn's interrupt hook reports events.
_BREAKPOINT = 7
_EXCEPTION_EXIT = 8
#: The hints at which Unicorn stops as if they were invalid, after it has moved the program counter
#: behind them. Each has a narrow and a wide encoding.
_WFE = (b"\x20\xbf", b"\xaf\xf3\x02\x80")
_YIELD = (b"\x10\xbf", b"\xaf\xf3\x01\x80")
#: A hint that Unicorn executes without a word.
_SEV = (b"\x40\xbf", b"\xaf\xf3\x04\x80")


class Event(Enum):
    """Why `Processor.run` returned."""

    WAITING = "waiting for an interrupt"
    WAITING_FOR_EVENT = "waiting for an event"
    UNMASKED = "PRIMASK was cleared"
    RETURNED = "a handler returned"
    BREAKPOINT = "breakpoint"
    FAULT = "failed access"
    TIMEOUT = "out of time"


class Processor:
    """One Cortex-M33 and its address space."""

    def __init__(self) -> None:
        self._uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M33)
        self._uc.hook_add(UC_HOOK_INTR, self._on_interrupt)
        self._uc.hook_add(UC_HOOK_MEM_INVALID, self._on_invalid)
        self._raised: int | None = None
        self._handlers: list[int] = []
        #: The event register.
        self._event = False
        #: The hook that waits for PRIMASK to be cleared, while there is one.
        self._mask_hook: int | None = None
        self._unmasked = False
        #: Where hints are at which Unicorn stops, and the last of them since it started.
        self._hints: set[int] = set()
        self._last_hint: int | None = None
        self._blocks: list[Block] = []
        #: The address of the last failed access.
        self.fault_address = 0

    def map_memory(self, address: int, block: Block) -> None:
        """Map `block` to `address`."""
        self._blocks.append(block)
        self._uc.mem_map_ptr(address, block.size, UC_PROT_ALL, block.host_address)

    def map_device(self, address: int, size: int, device: Device) -> None:
        """Map `device` to `address`."""

        def load(_uc: object, offset: int, _size: int, _data: object) -> int:
            return device.read(offset)

        def store(_uc: object, offset: int, _size: int, value: int, _data: object) -> None:
            device.write(offset, value)

        self._uc.mmio_map(address, size, load, None, store, None)

    def start(self, entry: int, stack: int) -> None:
        """Start at `entry` with the main stack pointer `stack`, as after a reset."""
        self._uc.reg_write(UC_ARM_REG_MSP, stack)
        self._uc.reg_write(UC_ARM_REG_SP, stack)
        self._uc.reg_write(UC_ARM_REG_PC, entry | 1)

    def watch_hints(self, address: int, code: bytes) -> None:
        """Watch each SEV, WFE and YIELD in the `code` that was loaded to `address`."""
        for encoding in (*_SEV, *_WFE, *_YIELD):
            for match in re.finditer(re.escape(encoding), code):
                if (address + match.start()) % 2 == 0:
                    self._watch(address + match.start(), encoding)

    @property
    def handling(self) -> bool:
        """Whether an exception is being handled."""
        return bool(self._handlers)

    @property
    def masked(self) -> bool:
        """Whether PRIMASK keeps interrupts from being taken."""
        return bool(self._uc.reg_read(UC_ARM_REG_PRIMASK))

    def stop_when_unmasked(self) -> None:
        """Have `run` return `Event.UNMASKED` once PRIMASK is cleared."""
        if self._mask_hook is None:
            self._mask_hook = self._uc.hook_add(UC_HOOK_BLOCK, self._on_block)
            # Unicorn calls a hook only in blocks that it has translated since.
            self._uc.ctl_flush_tb()

    def run(self, timeout_seconds: float | None) -> Event:
        """Execute until something happens that the machine must handle."""
        microseconds = 0 if timeout_seconds is None else max(1, int(timeout_seconds * 1e6))
        while True:
            event = self._execute(microseconds)
            if event is Event.WAITING_FOR_EVENT and self._event:
                self._event = False
            elif event is not None:
                return event

    def _execute(self, microseconds: int) -> Event | None:
        """Execute until Unicorn stops; None = it may go on at once."""
        self._raised = self._last_hint = None
        try:
            self._uc.emu_start(self.pc | 1, _NEVER, timeout=microseconds)
        except UcError as error:
            hint = self._hint() if error.errno == UC_ERR_INSN_INVALID else None
            if hint is None:
                return Event.FAULT
            return Event.WAITING_FOR_EVENT if hint in _WFE else None
        if self._unmasked:
            self._forget_mask()
            return Event.UNMASKED
        if self._raised == _EXCEPTION_EXIT:
            self._leave()
            return Event.RETURNED
        if self._raised == _BREAKPOINT:
            return Event.BREAKPOINT
        if self._raised is not None:
            return Event.FAULT
        return Event.TIMEOUT if microseconds and self._timed_out() else Event.WAITING

    def enter(self, exception: int, vectors: int) -> None:
        """Take an exception: stack eight registers, continue at its vector.

        Raises `MachineError` if a real processor would lock up.
        """
        if exception in self._handlers or (exception != HARD_FAULT and self._handlers):
            raise MachineError(f"the processor locked up: exception {exception} in its own handler")
        pc, xpsr = self._uc.reg_read(UC_ARM_REG_PC), self._uc.reg_read(UC_ARM_REG_XPSR)
        registers = [self._uc.reg_read(register) for register in _STACKED]
        unaligned = self._uc.reg_read(UC_ARM_REG_SP) - _FRAME.size
        sp = unaligned & ~7
        xpsr = xpsr & _FLAGS | _THUMB | (_REALIGNED if sp != unaligned else 0)
        try:
            self._uc.mem_write(sp, _FRAME.pack(*registers, pc, xpsr))
            (handler,) = struct.unpack("<I", self._uc.mem_read(vectors + 4 * exception, 4))
        except UcError as error:
            raise MachineError(
                f"the processor locked up entering exception {exception}: {error}"
            ) from error
        self._handlers.append(exception)
        self._event = True
        self._uc.reg_write(UC_ARM_REG_SP, sp)
        self._uc.reg_write(UC_ARM_REG_LR, _EXC_RETURN)
        self._uc.reg_write(UC_ARM_REG_PC, handler | 1)

    def argument(self, index: int) -> int:
        """Register r0 or r1, which hold the operation and the parameter of a semihosting call."""
        return int(self._uc.reg_read((UC_ARM_REG_R0, UC_ARM_REG_R1)[index]))

    def return_from_breakpoint(self, result: int) -> None:
        """Continue after a BKPT with `result` in r0."""
        self._uc.reg_write(UC_ARM_REG_R0, result & 0xFFFF_FFFF)
        self._uc.reg_write(UC_ARM_REG_PC, (self._uc.reg_read(UC_ARM_REG_PC) + 2) | 1)

    @property
    def pc(self) -> int:
        """The program counter."""
        return int(self._uc.reg_read(UC_ARM_REG_PC))

    def _leave(self) -> None:
        if not self._handlers:
            raise MachineError("the processor returned from an exception it was not in")
        self._handlers.pop()
        self._event = True
        sp = self._uc.reg_read(UC_ARM_REG_SP)
        *registers, pc, xpsr = _FRAME.unpack(self._uc.mem_read(sp, _FRAME.size))
        for register, value in zip(_STACKED, registers, strict=True):
            self._uc.reg_write(register, value)
        self._uc.reg_write(UC_ARM_REG_SP, sp + _FRAME.size + (4 if xpsr & _REALIGNED else 0))
        self._uc.reg_write(UC_ARM_REG_XPSR, xpsr & ~_REALIGNED)
        self._uc.reg_write(UC_ARM_REG_PC, pc | 1)

    def _watch(self, place: int, encoding: bytes) -> None:
        sends = encoding in _SEV
        self._hints |= set() if sends else {place}
        callback = self._on_send_event if sends else self._on_hint
        self._uc.hook_add(UC_HOOK_CODE, callback, None, place, place)

    def _hint(self) -> bytes | None:
        """The hint at which Unicorn has stopped; None = an instruction that does not exist.

        The program counter is behind a hint, but at any other instruction. That one may have a hint
        in front of it, so a hint that was seen before must have been executed again.
        """
        for code in (*_WFE, *_YIELD):
            place = self.pc - len(code)
            try:
                found = bytes(self._uc.mem_read(place, len(code)))
            except UcError:
                continue
            if found != code:
                continue
            if place not in self._hints:
                # Code that was put there since the program was loaded.
                self._watch(place, code)
                self._uc.ctl_flush_tb()
                return code
            return code if place == self._last_hint else None
        return None

    def _forget_mask(self) -> None:
        self._unmasked = False
        self._uc.hook_del(self._mask_hook)
        self._mask_hook = None
        self._uc.ctl_flush_tb()

    def _timed_out(self) -> bool:
        return bool(self._uc.query(UC_QUERY_TIMEOUT))

    def _on_interrupt(self, uc: Uc, number: int, _data: object) -> None:
        self._raised = number
        uc.emu_stop()

    def _on_block(self, uc: Uc, _address: int, _size: int, _data: object) -> None:
        # An instruction that writes PRIMASK ends its block.
        if not self.masked:
            self._unmasked = True
            uc.emu_stop()

    def _on_hint(self, _uc: Uc, address: int, _size: int, _data: object) -> None:
        self._last_hint = address

    def _on_send_event(self, _uc: Uc, _address: int, _size: int, _data: object) -> None:
        self._event = True

    def _on_invalid(self, _uc: Uc, _access: int, address: int, *_rest: object) -> bool:
        self.fault_address = address
        return False
