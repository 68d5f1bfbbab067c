"""The processor's own devices: SysTick, NVIC, system control block (0xE000E000)."""

from __future__ import annotations

__all__ = ["SystemControl"]

_SYSTICK_CTRL = 0x010
_SYSTICK_LOAD = 0x014
_SYSTICK_VALUE = 0x018
_ISER = 0x100
_ICER = 0x180
_WORDS = 16
_CPUID = 0xD00
_VTOR = 0xD08
_SCR = 0xD10
_CFSR = 0xD28
_BFAR = 0xD38
#: Cortex-M33 r1p0, the emulated processor; a real Corstone-300 has a Cortex-M55.
_CORTEX_M33 = 0x411F_D210
_SYSTICK_RUNNING = 0b11
_SEVONPEND = 1 << 4
#: A precise data bus error, and BFAR is valid.
_PRECISE_BUS_ERROR = 0x8200


class SystemControl:
    """The registers, and what they say about interrupts. Nothing happens here by itself."""

    def __init__(self) -> None:
        self._registers = {_CPUID: _CORTEX_M33}
        #: SysTick has fired, and its handler was not yet entered.
        self.systick_pending = False

    @property
    def vectors(self) -> int:
        """The address of the vector table."""
        return self._registers.get(_VTOR, 0)

    @property
    def systick_cycles(self) -> int | None:
        """Processor cycles from one SysTick interrupt to the next; None while there are none."""
        if self._registers.get(_SYSTICK_CTRL, 0) & _SYSTICK_RUNNING != _SYSTICK_RUNNING:
            return None
        return self._registers.get(_SYSTICK_LOAD, 0) + 1

    @property
    def sends_event_on_pending(self) -> bool:
        """Whether an interrupt that becomes pending wakes WFE, whatever masks it."""
        return bool(self._registers.get(_SCR, 0) & _SEVONPEND)

    def enabled(self, interrupt: int) -> bool:
        """Whether external interrupt `interrupt` is enabled."""
        return bool(self._registers.get(_ISER + interrupt // 32 * 4, 0) >> interrupt % 32 & 1)

    def report_bus_error(self, address: int) -> None:
        """Set the fault registers like a failed load or store."""
        self._registers[_CFSR] = _PRECISE_BUS_ERROR
        self._registers[_BFAR] = address

    def read(self, offset: int) -> int:
        """A load."""
        if _ICER <= offset < _ICER + 4 * _WORDS:
            offset += _ISER - _ICER
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A store. Pending bits are not kept, because interrupt lines are levels here."""
        if _ISER <= offset < _ISER + 4 * _WORDS:
            self._registers[offset] = self._registers.get(offset, 0) | value
        elif _ICER <= offset < _ICER + 4 * _WORDS:
            enable = offset + _ISER - _ICER
            self._registers[enable] = self._registers.get(enable, 0) & ~value
        elif offset == _SYSTICK_VALUE:
            self._registers[offset] = 0
        elif offset != _CPUID:
            self._registers[offset] = value
