"""What an operation, and a whole command stream, moves over the NPU's two AXI ports.

Pure functions. The counts have the names of Arm's PMU events and mean what those events count: data
beats of 8 bytes. QCONFIG (for the command stream) and REGIONCFG (2 bits per region) decide which
port a transfer takes, so they are parameters: `PortMap`.

The rules, in addition to those of `blocks.py` and `axi_runs.py`:

- Weights and scales are streamed completely, for all OFM depth blocks, once for every block
  position in the plane (`weights_refetch` in Vela's `npu_performance.py`): WEIGHT_LENGTH and
  SCALE_LENGTH bytes each time.
- The command stream is read once: its own words, not the driver actions before it.
- A DMA transfer reads and writes what it copies. Look-up tables go to SHRAM, which is not a port.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from targets.artefact.model import NpuOperator
from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Depthwise,
    Dma,
    Elementwise,
    FlashRange,
    Operation,
)
from targets.ethos_u55.command_stream import WORD_BYTES
from targets.ethos_u55.pmu_events import port_event
from targets.ethos_u55.ports import Direction, PortMap
from targets.simulator.traffic.axi_runs import Transfers, run_cost
from targets.simulator.traffic.blocks import block_grid, ifm2_reads, ifm_reads, ofm_writes

__all__ = [
    "Flow",
    "NetworkTraffic",
    "OperationTraffic",
    "Stream",
    "network_traffic",
    "operation_traffic",
    "operator_traffic",
]


class Stream(Enum):
    """What a transfer is for."""

    COMMANDS = "commands"
    IFM = "ifm"
    IFM2 = "ifm2"
    WEIGHTS = "weights"
    SCALES = "scales"
    OFM = "ofm"
    DMA_READ = "dma_read"
    DMA_WRITE = "dma_write"

    @property
    def direction(self) -> Direction:
        """Whether the NPU reads or writes it."""
        return Direction.WRITE if self in (Stream.OFM, Stream.DMA_WRITE) else Direction.READ


@dataclass(frozen=True)
class Flow:
    """The transfers for one purpose. `region` None means the memory of the command stream."""

    stream: Stream
    region: int | None
    port: int
    bytes: int
    beats: int
    #: AXI transactions if none crosses a multiple of the longest burst (inferred).
    bursts: int
    #: The same block by block, for feature maps; the cycle model walks through these.
    blocks: Transfers | None = field(default=None, repr=False, compare=False)

    @property
    def event(self) -> str:
        """Arm's PMU event that counts its beats."""
        return port_event(self.port, self.stream.direction.value)


@dataclass(frozen=True)
class OperationTraffic:
    """What one operation moves; waits and the like move nothing."""

    operation: Operation
    flows: tuple[Flow, ...]

    @property
    def counters(self) -> dict[str, int]:
        """Beats under Arm's event names; all four are always present."""
        return _counters(self.flows)


@dataclass(frozen=True)
class NetworkTraffic:
    """What one inference moves: its operations, and the command streams that hold them."""

    operations: tuple[OperationTraffic, ...]
    commands: tuple[Flow, ...]

    @property
    def flows(self) -> tuple[Flow, ...]:
        """All flows; those of the command streams come last."""
        return (*(flow for each in self.operations for flow in each.flows), *self.commands)

    @property
    def counters(self) -> dict[str, int]:
        """Beats under Arm's event names; all four are always present."""
        return _counters(self.flows)

    @classmethod
    def joined(cls, parts: Iterable[NetworkTraffic]) -> NetworkTraffic:
        """The traffic of a graph with several `ethos-u` operators."""
        parts = tuple(parts)
        return cls(
            tuple(each for part in parts for each in part.operations),
            tuple(flow for part in parts for flow in part.commands),
        )


def operation_traffic(operation: Operation, ports: PortMap) -> OperationTraffic:
    """What `operation` moves, one flow for each purpose."""
    flows: list[Flow] = []
    if isinstance(operation, Dma):
        flows = _dma(operation, ports)
    elif isinstance(operation, BlockOperation):
        flows = _block_operation(operation, ports)
    return OperationTraffic(operation, tuple(flows))


def operator_traffic(operator: NpuOperator, ports: PortMap) -> NetworkTraffic:
    """What one `ethos-u` operator moves."""
    return network_traffic(operator.operations, operator.payload.commands.size, ports)


def network_traffic(
    operations: Sequence[Operation], stream_words: int, ports: PortMap
) -> NetworkTraffic:
    """What a command stream of `stream_words` 32-bit words and its operations move."""
    commands = _flow(Stream.COMMANDS, None, ports, 0, stream_words * WORD_BYTES)
    return NetworkTraffic(
        tuple(operation_traffic(operation, ports) for operation in operations), (commands,)
    )


def _counters(flows: Iterable[Flow]) -> dict[str, int]:
    totals = {port_event(port, way.value): 0 for port in (0, 1) for way in Direction}
    for flow in flows:
        totals[flow.event] += flow.beats
    return totals


def _block_operation(operation: BlockOperation, ports: PortMap) -> list[Flow]:
    ifm, ofm = operation.ifm.region, operation.ofm.region
    flows = [_sum(Stream.IFM, ifm, ports, ifm_reads(operation, ports.burst(ifm)))]
    if isinstance(operation, Elementwise) and operation.ifm2 is not None:
        second = operation.ifm2.region
        moved = ifm2_reads(operation, ports.burst(second))
        if moved is not None:
            flows.append(_sum(Stream.IFM2, second, ports, moved))
    if isinstance(operation, (Conv, Depthwise)):
        times = block_grid(operation).spatial_count
        flows.append(_constants(Stream.WEIGHTS, operation.weights, times, ports))
        flows.append(_constants(Stream.SCALES, operation.scales, times, ports))
    flows.append(_sum(Stream.OFM, ofm, ports, ofm_writes(operation, ports.burst(ofm))))
    return flows


def _dma(dma: Dma, ports: PortMap) -> list[Flow]:
    flows = [_copied(Stream.DMA_READ, dma.source_region, ports, dma, dma.source_strided)]
    if dma.destination_region is not None:
        flows.append(
            _copied(Stream.DMA_WRITE, dma.destination_region, ports, dma, dma.destination_strided)
        )
    return flows


def _copied(stream: Stream, region: int, ports: PortMap, dma: Dma, strided: bool) -> Flow:
    """One end of a DMA transfer: one run if packed, otherwise a run for each row."""
    base = dma.source if stream is Stream.DMA_READ else dma.destination
    if not strided:
        return _flow(stream, region, ports, base, dma.length * dma.size0 * dma.size1)
    rows = np.arange(dma.size0, dtype=np.int64) * dma.skip0
    planes = np.arange(dma.size1, dtype=np.int64)[:, None] * dma.skip1
    length = np.asarray(dma.length, dtype=np.int64)
    cost = run_cost(base + planes + rows, length, ports.burst(region))
    count, beats, bursts = (int(part.sum()) for part in cost)
    return Flow(stream, region, ports.port(region), count, beats, bursts)


def _constants(stream: Stream, source: FlashRange, times: int, ports: PortMap) -> Flow:
    return _flow(stream, source.region, ports, source.address, source.length, times=times)


def _flow(
    stream: Stream,
    region: int | None,
    ports: PortMap,
    address: int,
    length: int,
    *,
    times: int = 1,
) -> Flow:
    """One run of `length` bytes, moved `times` times."""
    cost = run_cost(
        np.asarray(address, dtype=np.int64),
        np.asarray(length, dtype=np.int64),
        ports.burst(region),
    )
    count, beats, bursts = (int(part) * times for part in cost)
    return Flow(stream, region, ports.port(region), count, beats, bursts)


def _sum(stream: Stream, region: int, ports: PortMap, moved: Transfers) -> Flow:
    return Flow(
        stream,
        region,
        ports.port(region),
        int(moved.bytes.sum()),
        int(moved.beats.sum()),
        int(moved.bursts.sum()),
        moved,
    )
