"""The performance monitoring unit: counters, their overflow and its interrupt.

Offsets and bits are those of Arm's core driver (`ethosu55_interface.h`). Time comes
in periods: a run of the NPU, or a sleep of the processor. Counters do not move within one.
"""

from __future__ import annotations

from collections.abc import Mapping

from targets.ethos_u55.pmu_events import (
    CYCLE_COUNTER_BITS,
    EVENT_COUNTER_BITS,
    EVENT_COUNTERS,
    EVENT_NUMBER_MAX,
    event_number,
)

__all__ = ["CYCLE", "NO_EVENT", "NPU_ACTIVE", "NPU_IDLE", "Pmu"]

CYCLE = event_number("CYCLE")
NPU_ACTIVE = event_number("NPU_ACTIVE")
NPU_IDLE = event_number("NPU_IDLE")
#: In PMCCNTR_CFG: no event starts (or stops) the cycle counter.
NO_EVENT = 0
#: Events that occur in each cycle of a period, or in none.
_LEVELS = (CYCLE, NPU_ACTIVE, NPU_IDLE)

_PMCR = 0x180
_PMCNTENSET = 0x184
_PMCNTENCLR = 0x188
_PMOVSSET = 0x18C
_PMOVSCLR = 0x190
_PMINTSET = 0x194
_PMINTCLR = 0x198
_PMCCNTR_LO = 0x1A0
_PMCCNTR_HI = 0x1A4
_PMCCNTR_CFG = 0x1A8
_PMEVCNTR = 0x300
_PMEVTYPER = 0x380

_ENABLE = 1 << 0
_RESET_EVENTS = 1 << 1
_RESET_CYCLES = 1 << 2
_MASK_ENABLE = 1 << 3
#: The number of event counters, which PMCR holds in bits 15:11.
_SIZE = EVENT_COUNTERS << 11
_CYCLE_COUNTER = 1 << 31
_COUNTER_BITS = _CYCLE_COUNTER | (1 << EVENT_COUNTERS) - 1
_STOP_EVENT = 16
_WORD = 0xFFFF_FFFF

#: Registers that are set and cleared through two addresses, by the address that sets them.
_SET_CLEAR = {
    _PMCNTENSET: _PMCNTENSET,
    _PMCNTENCLR: _PMCNTENSET,
    _PMOVSSET: _PMOVSSET,
    _PMOVSCLR: _PMOVSSET,
    _PMINTSET: _PMINTSET,
    _PMINTCLR: _PMINTSET,
}
_COUNTERS = tuple(_PMEVCNTR + 4 * i for i in range(EVENT_COUNTERS))
_EVENTS = tuple(_PMEVTYPER + 4 * i for i in range(EVENT_COUNTERS))
#: The bits that the other registers hold.
_WIDTHS = {
    _PMCR: _ENABLE | _MASK_ENABLE,
    _PMCCNTR_LO: _WORD,
    _PMCCNTR_HI: _WORD >> 64 - CYCLE_COUNTER_BITS,
    _PMCCNTR_CFG: EVENT_NUMBER_MAX | EVENT_NUMBER_MAX << _STOP_EVENT,
    **dict.fromkeys(_COUNTERS, _WORD),
    **dict.fromkeys(_EVENTS, EVENT_NUMBER_MAX),
}


class Pmu:
    """The unit after a reset: everything is 0 and off."""

    #: The offsets of its registers.
    offsets = frozenset(_WIDTHS) | frozenset(_SET_CLEAR)

    def __init__(self) -> None:
        self._registers = dict.fromkeys(self.offsets, 0)
        #: Whether the start event of PMCCNTR_CFG has occurred, and since then no stop event.
        self._started = True
        #: Counters that had overflowed with their interrupt enabled when it was last raised.
        self._signalled = 0
        #: STATUS.pmu_irq_raised.
        self.interrupt = False

    @property
    def selected(self) -> frozenset[int]:
        """The numbers of the events that are being counted."""
        enabled = self._registers[_PMCNTENSET] if self._on else 0
        return frozenset(
            self._registers[event] for i, event in enumerate(_EVENTS) if enabled >> i & 1
        )

    def read(self, offset: int) -> int:
        """The value of one of `offsets`."""
        value = self._registers[_SET_CLEAR.get(offset, offset)]
        return value | _SIZE if offset == _PMCR else value

    def write(self, offset: int, value: int) -> None:
        """A store to one of `offsets`."""
        if offset in _SET_CLEAR:
            register = _SET_CLEAR[offset]
            before = self._registers[register]
            now = before | value if offset == register else before & ~value
            self._registers[register] = now & _COUNTER_BITS
            self._signal()
            return
        if offset == _PMCR:
            self._clear(value)
        self._registers[offset] = value & _WIDTHS[offset]
        if offset == _PMCCNTR_CFG:
            self._started = value & EVENT_NUMBER_MAX == NO_EVENT

    def clear_interrupt(self) -> None:
        """CMD.clear_irq: lower `interrupt`. The overflow stays in PMOVSSET."""
        self.interrupt = False

    def count(self, cycles: int, events: Mapping[int, int]) -> None:
        """Add a period of `cycles` in which `events` occurred, by number; missing ones did not."""
        if not self._on:
            return
        enabled = self._registers[_PMCNTENSET]
        overflow = 0
        for i, (counter, event) in enumerate(zip(_COUNTERS, _EVENTS, strict=True)):
            if enabled >> i & 1:
                total = self._registers[counter] + events.get(self._registers[event], 0)
                overflow |= (total >> EVENT_COUNTER_BITS > 0) << i
                self._registers[counter] = total & _WORD
        if enabled & _CYCLE_COUNTER:
            total = self._registers[_PMCCNTR_LO] | self._registers[_PMCCNTR_HI] << 32
            total += self._gated(cycles, events)
            overflow |= _CYCLE_COUNTER if total >> CYCLE_COUNTER_BITS else 0
            self._registers[_PMCCNTR_LO] = total & _WORD
            self._registers[_PMCCNTR_HI] = total >> 32 & _WIDTHS[_PMCCNTR_HI]
        self._registers[_PMOVSSET] |= overflow
        self._signal()

    @property
    def _on(self) -> bool:
        return bool(self._registers[_PMCR] & _ENABLE)

    def _clear(self, control: int) -> None:
        if control & _RESET_EVENTS:
            self._registers |= dict.fromkeys(_COUNTERS, 0)
        if control & _RESET_CYCLES:
            self._registers |= {_PMCCNTR_LO: 0, _PMCCNTR_HI: 0}

    def _gated(self, cycles: int, events: Mapping[int, int]) -> int:
        """The cycles of a period that PMCCNTR counts between its start and its stop event.

        With no start event it counts always: Arm's ML embedded evaluation kit leaves PMCCNTR_CFG at
        0 and prints the counter as the total. When in a period an event occurs is known only for
        `_LEVELS`. Another starts the counter at the period's begin, and stops it at the end.
        """
        config = self._registers[_PMCCNTR_CFG]
        start, stop = config & EVENT_NUMBER_MAX, config >> _STOP_EVENT
        counting = self._started or events.get(start, 0) > 0
        stopped = stop != NO_EVENT and events.get(stop, 0) > 0
        self._started = counting and not stopped
        return cycles if counting and not (stopped and stop in _LEVELS) else 0

    def _signal(self) -> None:
        """Raise the interrupt for each new overflow whose interrupt is enabled."""
        overflown = self._registers[_PMOVSSET] & self._registers[_PMINTSET]
        self.interrupt |= bool(overflown & ~self._signalled)
        self._signalled = overflown
