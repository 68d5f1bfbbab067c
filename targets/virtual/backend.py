"""The port between the NPU's registers and what executes a command stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Protocol

from targets.ethos_u55.ports import PortMap
from targets.virtual.errors import BusError
from targets.virtual.memory import Block, Bytes, Memory

__all__ = [
    "ANY_FAULT", "Channel", "NpuBackend", "NpuFault", "NpuMemory", "NpuOutcome", "NpuRequest",
]  # fmt: skip


class NpuFault(IntFlag):
    """The bits of STATUS that report a fault. Only a reset clears them."""

    BUS_ABORT = 1 << 2
    COMMAND_PARSE = 1 << 4
    WEIGHT_DECODER = 1 << 7
    ECC = 1 << 8


NO_FAULT = NpuFault(0)
ANY_FAULT = NpuFault.BUS_ABORT | NpuFault.COMMAND_PARSE | NpuFault.WEIGHT_DECODER | NpuFault.ECC


class Channel(IntEnum):
    """Who of the NPU was reading or writing at a bus abort: STATUS.faulting_channel."""

    COMMAND = 0
    IFM = 1
    WEIGHTS = 2
    SCALES = 3
    DMA_READ = 4
    OFM = 8
    DMA_WRITE = 9

    @property
    def writes(self) -> bool:
        """Whether it writes memory."""
        return self >= Channel.OFM


class NpuMemory:
    """Memory as the NPU's ports see it: everything except the processor's own."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def locate(self, address: int, size: int = 1) -> tuple[Block, int]:
        """The memory that holds `size` bytes at `address`, and the offset in it.

        Raises `BusError` if the NPU finds none.
        """
        block, offset = self._memory.find(address, size)
        if not block.npu:
            raise BusError(f"the NPU does not reach the {block.name} at {address:#010x}")
        return block, offset

    def view(self, address: int, size: int) -> Bytes:
        """`size` bytes at `address`, uint8 `[size]`, not a copy. Raises `BusError`."""
        block, offset = self.locate(address, size)
        return block.contents[offset : offset + size]


@dataclass(frozen=True)
class NpuRequest:
    """One run, as the registers describe it."""

    commands: bytes
    #: BASEP0..7: the base addresses of the command stream's regions.
    bases: tuple[int, ...]
    memory: NpuMemory
    macs: int
    qconfig: int
    regioncfg: int
    #: AXI_LIMIT0..3.
    axi_limits: tuple[int, ...]
    #: The timing adapters' registers, one tuple per port, in `TimingAdapter.words` order.
    timing: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def ports(self) -> PortMap:
        """The AXI port of each transfer."""
        return PortMap.from_registers(self.qconfig, self.regioncfg, self.axi_limits)


@dataclass(frozen=True)
class NpuOutcome:
    """What the run did, apart from the memory it changed."""

    #: Cycles for which the NPU was active.
    cycles: int = 0
    #: PMU event number -> count. Missing events count 0.
    counters: Mapping[int, int] = field(default_factory=dict)
    faults: NpuFault = NO_FAULT
    #: The run never ends: a port that it uses lets no address through. Only a reset helps.
    endless: bool = False
    #: AXI port and channel of a bus abort.
    fault_port: int = 0
    fault_channel: Channel = Channel.COMMAND
    #: Bytes of the command stream read when it stopped; None = all.
    read_bytes: int | None = None
    #: The explanation of a fault, for the machine's user; the NPU itself cannot give one.
    explanation: str = ""


class NpuBackend(Protocol):
    """Executes command streams."""

    def run(self, request: NpuRequest) -> NpuOutcome:
        """Execute one stream on the request's memory. Faults of the stream are outcomes.

        A `BusError` from the request's memory may be passed on: it is a bus abort.
        """
        ...
