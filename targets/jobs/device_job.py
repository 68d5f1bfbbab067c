"""A job for the firmware, as data: what the NPU runs, from where, and what is returned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, IntEnum

from targets.ethos_u55.accelerators import MAC_COUNTS
from targets.ethos_u55.addresses import ALIGNMENT
from targets.ethos_u55.pmu_events import EVENT_NUMBER_MAX, event_number
from targets.ethos_u55.ports import AXI_LIMITS, BURST_BYTES, BURSTS, REGIONS, BurstBytes, PortMap
from targets.jobs.errors import JobError
from targets.jobs.memory import bank_of, overlap

__all__ = [
    "ARM_AXI_LIMITS",
    "AxiLimit",
    "DeviceJob",
    "Image",
    "Input",
    "Output",
    "OutputMode",
    "RegionBase",
    "Space",
    "TimingAdapter",
]

#: How many events, inputs or outputs of one job the firmware takes.
EVENTS_MAX = 256
TRANSFERS_MAX = 256
_WORD_MAX = 0xFFFF_FFFF
_NAME = re.compile(r"[A-Za-z0-9_.-]{0,120}")
#: Events that start and stop the cycle counter.
_START = event_number("NPU_ACTIVE")
_STOP = event_number("NPU_IDLE")
#: Which port each region and the command stream use.
_ARM_PORTS = PortMap()


class OutputMode(IntEnum):
    """How an output is returned."""

    BYTES = 0
    #: Only its length and CRC-32, which are always returned.
    CRC32 = 1


class Space(str, Enum):
    """The memory that a region's offset refers to."""

    FLASH = "flash"
    ARENA = "arena"


@dataclass(frozen=True)
class RegionBase:
    """Where a region begins: at `offset` bytes (a multiple of 16) in the flash image or arena."""

    space: Space
    offset: int = 0


@dataclass(frozen=True)
class Input:
    """Bytes copied into the arena before every pass."""

    arena_offset: int
    data: bytes


@dataclass(frozen=True)
class Output:
    """Bytes of the arena to return."""

    arena_offset: int
    size: int
    mode: OutputMode = OutputMode.BYTES


@dataclass(frozen=True)
class AxiLimit:
    """One AXI_LIMITn register: the longest burst in bytes, and outstanding transactions."""

    burst_bytes: BurstBytes = BURST_BYTES
    memory_type: int = 0
    outstanding_reads: int = 32
    outstanding_writes: int = 16

    @property
    def word(self) -> int:
        """The register: max_beats 1:0, memtype 7:4, reads - 1 in 23:16, writes - 1 in 31:24."""
        return (
            BURSTS.index(self.burst_bytes)
            | self.memory_type << 4
            | (self.outstanding_reads - 1) << 16
            | (self.outstanding_writes - 1) << 24
        )


@dataclass(frozen=True)
class TimingAdapter:
    """The registers of a timing adapter that slow a port down; 0 = no limit.

    `maxr`, `maxw`, `maxrw` count outstanding transactions, `rlatency`, `wlatency`, `pulse_on`
    and `pulse_off` cycles, and `bwcap` 8-byte words per pulse period.
    """

    maxr: int = 0
    maxw: int = 0
    maxrw: int = 0
    rlatency: int = 0
    wlatency: int = 0
    pulse_on: int = 0
    pulse_off: int = 0
    bwcap: int = 0
    perfctrl: int = 0
    mode: int = 0

    @property
    def words(self) -> tuple[int, ...]:
        """The values in the order of the registers."""
        return (
            *(self.maxr, self.maxw, self.maxrw, self.rlatency, self.wlatency),
            *(self.pulse_on, self.pulse_off, self.bwcap, self.perfctrl, self.mode),
        )


#: What Arm's driver programs: 64-byte bursts, 32 reads and 16 writes outstanding, on every limit.
ARM_AXI_LIMITS = (AxiLimit(),) * AXI_LIMITS


@dataclass(frozen=True)
class DeviceJob:
    """One command stream, run `repetitions` times.

    The NPU has four event counters. So the firmware runs every repetition once for every four
    `events` (at least once), and reports the cycle counter of each pass.
    """

    #: Echoed in the answer: letters, digits, `_`, `-` and `.`, at most 120 characters.
    name: str
    #: MACs per cycle that the stream was compiled for; any other NPU refuses the job.
    macs: int
    #: The command stream, without driver actions.
    commands: bytes
    #: Weights, scales and tables.
    flash: bytes
    #: The arena's address (in non-secure form) and its size in bytes.
    arena_address: int
    arena_bytes: int
    #: One for each region.
    regions: tuple[RegionBase | None, ...]
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    #: PMU event numbers; any number up to 256.
    events: tuple[int, ...] = ()
    #: None: the NPU reads the flash image from the job image (in DDR). Otherwise it is first copied
    #: to this address.
    flash_address: int | None = None
    #: Whether the arena is zeroed before each pass. Nothing assumes that it already is.
    clear_arena: bool = False
    repetitions: int = 1
    #: After this many millions of processor cycles a run is given up: 3200 = 100 s at 32 MHz.
    watchdog_megacycles: int = 3200
    qconfig: int = _ARM_PORTS.qconfig
    regioncfg: int = _ARM_PORTS.regioncfg_word
    axi_limits: tuple[AxiLimit, ...] = ARM_AXI_LIMITS
    #: The timing adapters of ports 0 and 1; None leaves an adapter unchanged.
    timing: tuple[TimingAdapter | None, TimingAdapter | None] = (None, None)
    cycle_start_event: int = _START
    cycle_stop_event: int = _STOP

    def check(self) -> None:
        """Raise `JobError`, which names the field, for anything that the firmware would refuse."""
        self._check_contents()
        self._check_places()
        self._check_registers()

    def _check_contents(self) -> None:
        _require(self, _NAME.fullmatch(self.name) is not None, f"name {self.name!r}")
        _require(self, self.macs in MAC_COUNTS, f"macs {self.macs}")
        _require(
            self,
            len(self.commands) > 0 and len(self.commands) % 4 == 0,
            f"commands of {len(self.commands)} bytes",
        )
        _require(self, len(self.events) <= EVENTS_MAX, f"{len(self.events)} events")
        for event in (*self.events, self.cycle_start_event, self.cycle_stop_event):
            _require(self, 0 <= event <= EVENT_NUMBER_MAX, f"event {event}")
        _require(self, 0 < self.repetitions <= _WORD_MAX, f"repetitions {self.repetitions}")
        _require(
            self,
            0 < self.watchdog_megacycles <= _WORD_MAX,
            f"watchdog_megacycles {self.watchdog_megacycles}",
        )

    def _check_places(self) -> None:
        arena = self.arena_address, self.arena_bytes
        _require(
            self,
            self.arena_address % ALIGNMENT == 0
            and self.arena_bytes % 4 == 0
            and self.arena_bytes > 0
            and bank_of(*arena) is not None,
            f"arena of {self.arena_bytes} bytes at {self.arena_address:#x}",
        )
        if self.flash_address is not None:
            flash = self.flash_address, len(self.flash)
            _require(
                self,
                self.flash_address > 0
                and self.flash_address % ALIGNMENT == 0
                and len(self.flash) % 4 == 0
                and bank_of(*flash) is not None
                and not overlap(*flash, *arena),
                f"flash of {len(self.flash)} bytes at {self.flash_address:#x}",
            )
        sizes = {Space.ARENA: self.arena_bytes, Space.FLASH: len(self.flash)}
        _require(self, len(self.regions) == REGIONS, f"{len(self.regions)} regions")
        for i, base in enumerate(self.regions):
            _require(
                self,
                base is None
                or (base.offset % ALIGNMENT == 0 and 0 <= base.offset < max(sizes[base.space], 1)),
                f"region {i} at {base}",
            )
        for what, count in (("inputs", len(self.inputs)), ("outputs", len(self.outputs))):
            _require(self, count <= TRANSFERS_MAX, f"{count} {what}")
        ranges = [("input", i, x.arena_offset, len(x.data)) for i, x in enumerate(self.inputs)]
        ranges += [("output", i, x.arena_offset, x.size) for i, x in enumerate(self.outputs)]
        for what, i, offset, size in ranges:
            _require(
                self,
                offset >= 0 and size >= 0 and offset + size <= self.arena_bytes,
                f"{what} {i}: {size} bytes at {offset} of an arena of {self.arena_bytes}",
            )

    def _check_registers(self) -> None:
        _require(self, 0 <= self.qconfig < AXI_LIMITS, f"qconfig {self.qconfig}")
        _require(self, 0 <= self.regioncfg <= 0xFFFF, f"regioncfg {self.regioncfg:#x}")
        _require(self, len(self.axi_limits) == AXI_LIMITS, f"{len(self.axi_limits)} axi_limits")
        for limit in self.axi_limits:
            _require(
                self,
                limit.burst_bytes in BURSTS
                and 0 <= limit.memory_type <= 15
                and 1 <= limit.outstanding_reads <= 256
                and 1 <= limit.outstanding_writes <= 256,
                f"{limit}",
            )
        for adapter in self.timing:
            if adapter is not None:
                _require(self, all(0 <= w <= _WORD_MAX for w in adapter.words), f"{adapter}")


@dataclass(frozen=True)
class Image:
    """What is loaded next to the firmware: jobs that it runs and answers one by one."""

    jobs: tuple[DeviceJob, ...]
    #: Whether the firmware ends with a semihosting call; only if something handles it.
    semihosting_exit: bool = False
    #: The UART's BAUDDIV; None = 217, which is 115200 baud from 25 MHz.
    uart_divider: int | None = None


def _require(job: DeviceJob, holds: bool, what: str) -> None:
    if not holds:
        raise JobError(f"job {job.name!r}: {what} is not possible", cure="see DeviceJob's fields")
