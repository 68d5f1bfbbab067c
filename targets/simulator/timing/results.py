"""The result of an estimate: when each operation ran, what it waited for, and the totals.

Every figure here is an *estimate* in NPU cycles, counted from the start of the command stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from targets.artefact.stream.operations import Operation
from targets.ethos_u55.memory_modes import MemoryMode
from targets.timing_profiles import TimingProfile

__all__ = ["Beats", "Bound", "Engine", "NetworkTiming", "OperationTiming", "Span", "Waits"]


class Bound(str, Enum):
    """What decides how long an operation takes."""

    COMPUTE = "compute"
    WEIGHT_DECODE = "weight decode"
    FLASH = "flash"
    SRAM = "SRAM"
    #: Latencies that nothing overlaps: small operations that depend on one another.
    LATENCY = "latency"
    #: Fetching and parsing commands.
    ISSUE = "issue"
    #: The operation takes no time of its own.
    NOTHING = "nothing"


class Engine(str, Enum):
    """A lane of the timeline."""

    COMMANDS = "commands"
    DMA = "DMA"
    IFM = "IFM read"
    WEIGHTS = "weight stream"
    MAC = "MAC"
    OUTPUT = "output stage"
    OFM = "OFM write"


@dataclass(frozen=True)
class Span:
    """An engine's use for one operation, from its first to its last block."""

    engine: Engine
    #: AXI port, for engines that move data.
    port: int | None
    start: float
    end: float


@dataclass(frozen=True)
class Waits:
    """Cycles in which the computing engine of an operation stood still, by cause.

    That engine is the MAC unit, or for elementwise operations the output stage.
    """

    #: The operation had not been issued.
    issue: float = 0.0
    #: The previous operation, or those of its blocks that count, had not ended.
    dependency: float = 0.0
    #: The IFM had not arrived.
    ifm: float = 0.0
    #: The weights had not arrived.
    weights: float = 0.0
    #: No accumulator was free.
    accumulators: float = 0.0
    #: The output stage waited for results.
    output_input: float = 0.0
    #: The output stage waited for the OFM's write port.
    output_write: float = 0.0


@dataclass(frozen=True)
class Beats:
    """Beats and transactions on one port."""

    read: int = 0
    written: int = 0
    read_bursts: int = 0
    written_bursts: int = 0

    def __add__(self, other: Beats) -> Beats:
        return Beats(
            self.read + other.read,
            self.written + other.written,
            self.read_bursts + other.read_bursts,
            self.written_bursts + other.written_bursts,
        )


@dataclass(frozen=True)
class OperationTiming:
    """One operation, in cycles. `total` is what it adds to the network; the rest overlaps.

    The totals of all operations add up to NPU_ACTIVE.
    """

    operation: Operation
    index: int
    #: The busier of the multipliers and the output stage, undisturbed.
    compute: float
    mac: float
    output: float
    weight_decode: float
    #: How long its transfers occupy the flash's port, and the busier direction of the SRAM's.
    flash: float
    sram: float
    #: From the previous command to the moment it was issued, without waits for other operations.
    issue: float
    total: float
    bound_by: Bound
    start: float
    end: float
    waits: Waits
    spans: tuple[Span, ...]
    #: On AXI0 and AXI1, without the command stream.
    beats: tuple[Beats, Beats]

    def shifted(self, cycles: float, index: int) -> OperationTiming:
        """The same operation, `cycles` later and `index` places further on."""
        return replace(
            self,
            index=self.index + index,
            start=self.start + cycles,
            end=self.end + cycles,
            spans=tuple(
                replace(span, start=span.start + cycles, end=span.end + cycles)
                for span in self.spans
            ),
        )


@dataclass(frozen=True)
class NetworkTiming:
    """One inference on the NPU. Estimated."""

    macs: int
    mode: MemoryMode
    profile: TimingProfile
    #: One for each operation of the stream.
    operations: tuple[OperationTiming, ...]
    #: Command fetches.
    commands: tuple[Span, ...]
    command_beats: tuple[Beats, Beats]
    #: Cycles in which reads and writes of each port waited to be accepted.
    read_stalls: tuple[float, float]
    write_stalls: tuple[float, float]

    @property
    def npu_active(self) -> int:
        """Cycles from the start of the stream to its end."""
        return round(sum(row.total for row in self.operations))

    @property
    def beats(self) -> tuple[Beats, Beats]:
        """Everything that moves, on AXI0 and AXI1."""
        ports = [*self.command_beats]
        for row in self.operations:
            for port in (0, 1):
                ports[port] += row.beats[port]
        return ports[0], ports[1]

    @classmethod
    def joined(cls, parts: Iterable[NetworkTiming]) -> NetworkTiming:
        """The timing of a graph with several `ethos-u` operators, run one after the other.

        The CPU's work in between is not NPU time. Raises `ValueError` if there are no parts.
        """
        first, *others = parts
        for part in others:
            shift, count = sum(row.total for row in first.operations), len(first.operations)
            moved = tuple(row.shifted(shift, count) for row in part.operations)
            commands = tuple(
                replace(span, start=span.start + shift, end=span.end + shift)
                for span in part.commands
            )
            first = replace(
                first,
                operations=first.operations + moved,
                commands=first.commands + commands,
                command_beats=(
                    first.command_beats[0] + part.command_beats[0],
                    first.command_beats[1] + part.command_beats[1],
                ),
                read_stalls=_added(first.read_stalls, part.read_stalls),
                write_stalls=_added(first.write_stalls, part.write_stalls),
            )
        return first


def _added(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return one[0] + other[0], one[1] + other[1]
